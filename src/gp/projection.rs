//! The whitened projection A = L⁻¹ K(Z, X), with K(Z, Z) = LLᵀ: what sparse models see of the data.

use faer::{Mat, MatRef, Par};

use crate::kernel::{Kernel, cross_into, gram_into};
use crate::linalg::{Cholesky, Jitter, padded};
use crate::tape::{KernelVar, Tape, Var};
use crate::{Result, Scalar};

/// A on a tape: M × N, and the jitter on the diagonal of K(Z, Z).
pub(super) fn record_projection<'a, T: Scalar>(
    tape: &Tape<'a, T>,
    kernel: KernelVar<'a, T>,
    z: Var,
    x: Var,
    jitter: Jitter,
) -> Result<(Var, f64)> {
    let (l, jitter) = tape.cholesky(tape.gram(kernel, z)?, jitter)?;
    Ok((tape.solve_lower(l, tape.cross(kernel, z, x)?)?, jitter))
}

/// L, and A: M × N.
pub(super) fn project<T: Scalar>(
    kernel: &dyn Kernel<T>,
    z: MatRef<'_, T>,
    x: MatRef<'_, T>,
    jitter: Jitter,
    par: Par,
) -> Result<(Cholesky<T>, Mat<T>)> {
    let mut gram = padded(z.nrows(), z.nrows());
    gram_into(kernel, z, gram.as_mut(), par)?;
    let factor = Cholesky::new(gram.as_ref(), jitter, par)?;
    let mut a = padded(z.nrows(), x.nrows());
    cross_into(kernel, z, x, a.as_mut(), par)?;
    factor.half_solve_in_place(a.as_mut(), par)?;
    Ok((factor, a))
}
