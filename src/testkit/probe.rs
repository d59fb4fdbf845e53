//! A kernel that counts how it is called.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::sample::{Stream, points_for};
use super::violation::{Law, Violation};
use crate::kernel::{
    AnyKernel, DiagVjp, EmbedVjp, Features, GradientRequest, Pairs, Points, Scratch, Structure, TileVjp, cross_into,
    cross_vjp, diag_into, diag_vjp,
};
use crate::kernels::{Matern32, Rbf};
use crate::params::{Parameterized, Visitor, VisitorMut};
use crate::{DynKernel, Expr, Kernel, Scalar, kernel_ops};

/// How often the methods of a [`Probe`] and its clones have been called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Calls of `pairwise`.
    pub pairwise: usize,
    /// Calls of `embed`.
    pub embed: usize,
    /// Calls of `tile`.
    pub tile: usize,
    /// Calls of `tile_diag`.
    pub tile_diag: usize,
    /// Calls of `tile_vjp`.
    pub tile_vjp: usize,
    /// Calls of `tile_diag_vjp`.
    pub tile_diag_vjp: usize,
    /// Calls of `embed_vjp`.
    pub embed_vjp: usize,
}

const METHODS: usize = 7;
const PAIRWISE: usize = 0;
const EMBED: usize = 1;
const TILE: usize = 2;
const TILE_DIAG: usize = 3;
const TILE_VJP: usize = 4;
const TILE_DIAG_VJP: usize = 5;
const EMBED_VJP: usize = 6;

/// A kernel that forwards everything to another and counts the calls, its clones' too: it finds
/// combinators that lose a child's fast tile, fast diagonal or gradients.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::{Probe, points};
///
/// let probe = Probe::new(Rbf::new(1.0));
/// let kernel = 2.0 * probe.clone() + Linear::new(1.0);
/// let _: Mat<f64> = kernel.gram(points(10, 1, 1).as_ref())?;
/// assert_eq!((probe.calls().tile, probe.calls().pairwise), (1, 0));
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Probe<K> {
    kernel: K,
    calls: Arc<[AtomicUsize; METHODS]>,
}

kernel_ops!([K] Probe<K>);

impl<K> Probe<K> {
    /// A probe around a kernel.
    pub fn new(kernel: K) -> Self {
        Self { kernel, calls: Arc::default() }
    }

    /// The calls so far.
    pub fn calls(&self) -> Calls {
        let of = |method: usize| self.calls[method].load(Relaxed);
        Calls {
            pairwise: of(PAIRWISE),
            embed: of(EMBED),
            tile: of(TILE),
            tile_diag: of(TILE_DIAG),
            tile_vjp: of(TILE_VJP),
            tile_diag_vjp: of(TILE_DIAG_VJP),
            embed_vjp: of(EMBED_VJP),
        }
    }

    /// Counts from 0 again.
    pub fn reset(&self) {
        self.calls.iter().for_each(|count| count.store(0, Relaxed));
    }

    fn count(&self, method: usize) {
        self.calls[method].fetch_add(1, Relaxed);
    }
}

impl<K: Parameterized> Parameterized for Probe<K> {
    fn name(&self) -> &str {
        self.kernel.name()
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        self.kernel.visit(visitor);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        self.kernel.visit_mut(visitor);
    }
}

impl<K: AnyKernel + Clone> Expr for Probe<K> {
    fn structure(&self) -> Structure<'_> {
        Structure::Boxed(self.kernel.node())
    }
}

impl<T: Scalar, K: AnyKernel + Kernel<T> + Clone> Kernel<T> for Probe<K> {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        self.count(PAIRWISE);
        self.kernel.pairwise(x, y)
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        self.count(EMBED);
        self.kernel.node().at::<T>().embed(points)
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        self.count(TILE);
        self.kernel.node().at::<T>().tile(pairs, out, scratch);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        self.count(TILE_DIAG);
        self.kernel.node().at::<T>().tile_diag(features, out);
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        self.count(TILE_VJP);
        self.kernel.node().at::<T>().tile_vjp(to);
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        self.count(TILE_DIAG_VJP);
        self.kernel.node().at::<T>().tile_diag_vjp(to);
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        self.count(EMBED_VJP);
        self.kernel.node().at::<T>().embed_vjp(to);
    }
}

/// A combinator, given as a function of its child, forwards every fast method: the child's `tile` and
/// `tile_diag` are called and `pairwise` never, and all parts of its gradient are.
///
/// # Errors
///
/// The first [`Violation`], also if the kernel refuses points of this dimension.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::keeps_fast_paths;
///
/// keeps_fast_paths(1, |child| child + 0.5)?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn keeps_fast_paths(dim: usize, combinator: impl Fn(DynKernel) -> DynKernel) -> Result<(), Violation> {
    // One child that reads the points as they are, and one that makes features of its own.
    fast_paths(dim, Probe::new(Rbf::new(0.8)), &combinator)?;
    fast_paths(dim, Probe::new(Matern32::new(vec![0.8; dim])), &combinator)
}

/// A method that has to be called, and where its count is.
type Expected = (&'static str, fn(Calls) -> usize);

fn fast_paths<K: crate::kernel::AnyKernel + Clone + 'static>(
    dim: usize,
    probe: Probe<K>,
    combinator: &impl Fn(DynKernel) -> DynKernel,
) -> Result<(), Violation> {
    let kernel = combinator(DynKernel::new(probe.clone()));
    let law = Law { name: "keeps fast paths", kernel: &kernel };
    let (x, z) = (points_for::<f64>(&kernel, 5, dim, 1), points_for::<f64>(&kernel, 4, dim, 2));
    let (x, z) = (x.as_ref(), z.as_ref());
    let mut stream = Stream::new(3);
    let (w, along) = (stream.matrix::<f64>(5, 4), stream.matrix::<f64>(5, 1));
    let check = |driver: &str, expected: &[Expected]| {
        let calls = probe.calls();
        probe.reset();
        if calls.pairwise > 0 {
            return law.broken(driver, format!("{} calls of `pairwise`", calls.pairwise), "none");
        }
        match expected.iter().find(|(_, of)| of(calls) == 0) {
            Some((method, _)) => law.broken(driver, format!("no call of `{method}`"), "at least one"),
            None => Ok(()),
        }
    };
    let (mut out, mut diag) = (faer::Mat::zeros(5, 4), vec![0.0; 5]);
    law.evaluated(cross_into(&kernel, x, z, out.as_mut(), faer::Par::Seq))?;
    check("the cross-covariance", &[("embed", |calls| calls.embed), ("tile", |calls| calls.tile)])?;
    law.evaluated(diag_into(&kernel, x, &mut diag))?;
    check("the diagonal", &[("embed", |calls| calls.embed), ("tile_diag", |calls| calls.tile_diag)])?;
    law.evaluated(cross_vjp(&kernel, x, z, w.as_ref(), GradientRequest::ALL, faer::Par::Seq))?;
    check("the gradient", &[("tile_vjp", |calls| calls.tile_vjp), ("embed_vjp", |calls| calls.embed_vjp)])?;
    law.evaluated(diag_vjp(&kernel, x, along.col_as_slice(0), GradientRequest::ALL))?;
    check("the gradient of the diagonal", &[("tile_diag_vjp", |calls| calls.tile_diag_vjp)])
}
