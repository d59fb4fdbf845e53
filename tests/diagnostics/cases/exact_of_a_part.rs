//! An exact model needs all data.
use mercer::gp::{Data, ExactGp};
use mercer::prelude::*;

fn main() {
    let data = Data::new(mat![[0.0], [1.0]], [0.3, 1.0]);
    let _ = ExactGp::new(Rbf::new(1.0)).objective(&data.part_of(10));
}
