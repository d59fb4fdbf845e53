//! Every row of the benchmark notebook of Kernax, a Python library, under its names: pairs, Gram matrices and
//! batches of 250, of 100 points each, regular, irregular, and padded with NaN.

use std::hint::black_box;

use mercer::combine::Missing;
use mercer::prelude::*;

use super::{Work, evenly, sets, uniform};

/// Members of a batch.
const MEMBERS: usize = 250;
/// Points of a set.
const N: usize = 100;
/// Dimensions of the rows that are not of one.
const DIM: usize = 4;
/// Points of a set that are padding.
const PADDING: usize = 20;
const LENGTHSCALE: f64 = 0.3;

/// Sets of points by how they lie: one, and one for each member of a batch.
struct Layout {
    name: &'static str,
    one: Mat<f64>,
    each: Vec<Mat<f64>>,
}

/// A row of the notebook: its name and how to set it up.
pub(crate) struct Row<'d> {
    pub(crate) name: String,
    /// Calls in one run.
    pub(crate) calls: usize,
    pub(crate) build: Box<dyn Fn() -> Work<'d> + 'd>,
}

/// The points of all rows.
pub(crate) struct Data {
    layouts: Vec<Layout>,
}

impl Data {
    pub(crate) fn new() -> Self {
        let line = evenly(0.0, 10.0, N);
        let regular_1d = Mat::from_fn(N, 1, |row, _| line[row]);
        // The first points of a grid with four along each dimension, the last dimension fastest.
        let side = evenly(0.0, 5.0, 4);
        let regular = Mat::from_fn(N, DIM, |row, dim| side[row / 4usize.pow((DIM - 1 - dim) as u32) % 4]);
        let irregular = |dim, seed| uniform::<f64>(N, dim, 0.0..10.0, seed);
        let padded = |dim: usize, seed| {
            let mut x = irregular(dim, seed);
            (0..PADDING).for_each(|at| x[(at * N / PADDING, dim / 2)] = f64::NAN);
            x
        };
        let same = |x: &Mat<f64>| vec![x.clone(); MEMBERS];
        let layout = |name, one, each| Layout { name, one, each };
        let of_members = |make: &dyn Fn(usize, u64) -> Mat<f64>, dim| {
            (0..MEMBERS as u64).map(|member| make(dim, 2 + member)).collect::<Vec<_>>()
        };
        Self {
            layouts: vec![
                layout("1D regular", regular_1d.clone(), same(&regular_1d)),
                layout("1D irregular", irregular(1, 1), of_members(&irregular, 1)),
                layout("1D padded", padded(1, 1), of_members(&padded, 1)),
                layout("ND regular", regular.clone(), same(&regular)),
                layout("ND irregular", irregular(DIM, 1), of_members(&irregular, DIM)),
                layout("ND padded", padded(DIM, 1), of_members(&padded, DIM)),
            ],
        }
    }

    fn one(&self, name: &str) -> MatRef<'_, f64> {
        self.layout(name).one.as_ref()
    }

    fn layout(&self, name: &str) -> &Layout {
        self.layouts.iter().find(|layout| layout.name == name).unwrap()
    }

    /// Batches run on the threads of the current pool, and the rest on as many as `par` says.
    pub(crate) fn rows(&self, par: Par) -> Vec<Row<'_>> {
        let mut rows = Rows { data: self, par, all: Vec::new() };
        let base = Rbf::new(LENGTHSCALE);
        let active = base.clone().on([0]);
        let ard = Rbf::new(1.0).ard([0.6, 1.7, 1.1, 1.4]);

        rows.pair("pair 1D", 1, base.clone());
        rows.pair("pair ND", DIM, base.clone());
        rows.pair("pair ND active_dims[0]", DIM, active.clone());
        rows.pair("pair ND ARD", DIM, ard.clone());
        for layout in &self.layouts {
            rows.gram(format!("gram {}", layout.name), layout.name, base.clone());
        }
        rows.cross("cross (100,1)x(100,1)", "1D regular", "1D irregular", base.clone());
        rows.cross("cross (100,4)x(100,4)", "ND regular", "ND irregular", base.clone());
        rows.gram("gram ND active_dims[0]", "ND irregular", active);
        rows.gram("gram ND ARD", "ND irregular", ard);

        for layout in &self.layouts {
            rows.batch(format!("batch250 SHP {}", layout.name), layout, base.clone(), false);
            rows.batch(format!("batch250 DHP {}", layout.name), layout, base.clone(), true);
        }
        for name in ["1D regular", "ND irregular"] {
            rows.batch_of_one_set(format!("batch250 DHP-BI {name}"), self.one(name), base.clone());
        }
        // Their engines: one leaves NaN where a point is missing, one makes it independent of the others.
        for (engine, missing) in [("NaNDenseEngine", Missing::Propagate), ("MaskedNaNEngine", Missing::Isolate)] {
            for name in ["1D padded", "ND padded"] {
                let masked = base.clone().masked(missing);
                rows.gram(format!("gram {name} {engine}"), name, masked.clone());
                rows.batch(format!("batch250 SHP {name} {engine}"), self.layout(name), masked, false);
            }
        }
        rows.all
    }
}

struct Rows<'d> {
    data: &'d Data,
    par: Par,
    all: Vec<Row<'d>>,
}

impl<'d> Rows<'d> {
    fn add(&mut self, name: impl Into<String>, calls: usize, build: impl Fn() -> Work<'d> + 'd) {
        self.all.push(Row { name: name.into(), calls, build: Box::new(move || build().with_calls(calls)) });
    }

    /// Between a point of zeros and one of ones, in the form that checks its arguments. A call takes some
    /// nanoseconds, hence many of them.
    fn pair<K: Kernel<f64> + Clone + 'd>(&mut self, name: &str, dim: usize, kernel: K) {
        const CALLS: usize = 1000;
        self.add(name, CALLS, move || {
            let (kernel, zeros, ones) = (kernel.clone(), vec![0.0; dim], vec![1.0; dim]);
            let run = move || {
                for _ in 0..CALLS {
                    black_box(kernel.eval(black_box(&zeros), black_box(&ones)).unwrap());
                }
            };
            Work::new(run)
        });
    }

    fn gram<K: Kernel<f64> + Clone + 'd>(&mut self, name: impl Into<String>, points: &str, kernel: K) {
        let (x, par) = (self.data.one(points), self.par);
        self.add(name, 1, move || {
            let (kernel, mut out) = (kernel.clone(), Mat::zeros(N, N));
            Work::new(move || kernel.gram_into(black_box(x), out.as_mut(), par).unwrap())
        });
    }

    fn cross<K: Kernel<f64> + Clone + 'd>(&mut self, name: &str, x: &str, z: &str, kernel: K) {
        let (x, z, par) = (self.data.one(x), self.data.one(z), self.par);
        self.add(name, 1, move || {
            let (kernel, mut out) = (kernel.clone(), Mat::zeros(N, N));
            Work::new(move || kernel.cross_into(black_box(x), z, out.as_mut(), par).unwrap())
        });
    }

    /// A set of points for each member; hyperparameters of one for all, or each its own.
    fn batch<K: Kernel<f64> + Compose + Clone + 'd>(
        &mut self,
        name: String,
        layout: &'d Layout,
        kernel: K,
        distinct: bool,
    ) {
        self.add(name, 1, move || {
            let shared = kernel.clone().batched(MEMBERS).unwrap();
            let batch = if distinct { own_lengthscales(shared) } else { shared };
            Work::batch(batch, sets(&layout.each))
        });
    }

    /// One set of points for all members, and hyperparameters for each.
    fn batch_of_one_set<K: Kernel<f64> + Compose + Clone + 'd>(&mut self, name: String, x: MatRef<'d, f64>, kernel: K) {
        self.add(name, 1, move || {
            let batch = own_lengthscales(kernel.clone().batched(MEMBERS).unwrap());
            Work::batch(batch, x)
        });
    }
}

fn own_lengthscales<K: Kernel<f64> + Clone>(batch: mercer::batch::Batched<K>) -> mercer::batch::Batched<K> {
    batch.per_batch("rbf.lengthscale", &evenly(LENGTHSCALE, 1.5, MEMBERS)).unwrap()
}
