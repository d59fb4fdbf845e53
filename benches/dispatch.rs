//! What a trait object costs: the same expression with its type known, boxed as a whole, boxed at every node,
//! and written by hand as a scalar loop; by pairs, as a cross-vector and as a Gram matrix; for a leaf, and for
//! cheap and heavy composites. `cargo bench --bench dispatch`
//!
//! Here the forms are timed one after the other; `cargo bench --bench reference -- dispatch_ pairwise_` takes
//! them in turn, for ratios of a few per cent.
#![allow(clippy::unwrap_used)]

mod common;

use common::forms::{DIMS, Points, all};
use common::iterate;
use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for dim in DIMS {
        let points = Points::new(dim);
        for forms in all(&points) {
            let mut group = criterion.benchmark_group(format!("{}/{}_D{dim}", forms.expression, forms.task));
            for (form, mut work) in forms.works {
                group.bench_function(form, |b| iterate(b, || work.run()));
            }
            group.finish();
        }
    }
    criterion.final_summary();
}
