//! Roots of the covariance of q, on a tape and off it.

use std::convert::Infallible;

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::prelude::ReborrowMut;
use faer::{Accum, Mat, MatMut, Par};

use crate::inducing::InducingPrior;
use crate::linalg::Root;
use crate::tape::{Tape, Var};
use crate::{Result, Scalar};

impl<'t, T: Scalar> Root<Var<'t, T>> {
    /// PᵀA.
    pub(in crate::gp) fn project(&self, a: Var<'t, T>) -> Var<'t, T> {
        match *self {
            Self::Lower(r) => r.lower_matmul_tn(a),
            Self::Diagonal(d) => a.scale_rows(d),
            Self::Columns(v) => v.matmul_tn(a),
        }
    }

    /// L⁻¹P.
    pub(super) fn whiten(&self, tape: &'t Tape<'_, T>, prior: &InducingPrior<'t, T>) -> Result<Self> {
        match *self {
            // A solve with a dense factor does not keep a diagonal.
            Self::Diagonal(d) if prior.variances().is_none() => {
                let m = tape.shape(d)?.0;
                Self::Lower(tape.constant_owned(Mat::zeros(m, m)).add_diagonal(d)).whiten(tape, prior)
            }
            Self::Lower(r) if !prior.is_triangular() => Ok(Self::Columns(prior.whiten(r))),
            root => root.try_map(|&var| Ok(prior.whiten(var))),
        }
    }

    /// The same off the tape.
    pub(in crate::gp) fn store(&self, tape: &Tape<'_, T>) -> Result<Root<Mat<T>>> {
        self.try_map(|&var| Ok(tape.value(var)?.as_mat().to_owned()))
    }
}

impl<T: Scalar> Root<Mat<T>> {
    /// out += PB, for a B of as many rows as are asked for.
    pub(in crate::gp) fn add_times(&self, mut out: MatMut<'_, T>, b: &mut dyn FnMut(usize) -> Mat<T>, par: Par) {
        use BlockStructure::{Rectangular, TriangularLower};
        let one = T::from_f64(1.0);
        match self {
            Self::Lower(p) => {
                let b = b(p.ncols());
                matmul(out, Rectangular, Accum::Add, p, TriangularLower, b.as_ref(), Rectangular, one, par);
            }
            Self::Diagonal(p) => {
                let b = b(p.nrows());
                for (out, b) in out.rb_mut().col_iter_mut().zip(b.col_iter()) {
                    out.iter_mut().zip(b.iter()).zip(p.col(0).iter()).for_each(|((out, &b), &p)| *out += p * b);
                }
            }
            Self::Columns(p) => {
                let b = b(p.ncols());
                matmul(out, Rectangular, Accum::Add, p, Rectangular, b.as_ref(), Rectangular, one, par);
            }
        }
    }

    /// On another tape, as a constant.
    pub(in crate::gp) fn on<'t, 'a>(&'a self, tape: &'t Tape<'a, T>) -> Root<Var<'t, T>> {
        let Ok(root) = self.try_map(|matrix| Ok::<_, Infallible>(tape.constant(matrix.as_ref())));
        root
    }
}
