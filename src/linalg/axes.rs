//! Vectors as tensors: one factor of a Kronecker product at a time.

use faer::prelude::ReborrowMut;
use faer::{Mat, MatMut, MatRef};

use super::storage::{column_mut, padded};
use crate::{Error, Result, Scalar};

/// The sizes of the factors, and their product.
///
/// # Errors
///
/// [`Error::Empty`] without factors or with one that has no rows; [`Error::Setting`] if the product does not fit a
/// `usize`.
pub(super) fn product_size(what: &str, sizes: &[usize]) -> Result<usize> {
    if sizes.is_empty() || sizes.contains(&0) {
        return Err(Error::Empty { what: what.to_owned() });
    }
    let product = sizes.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    product.ok_or_else(|| Error::setting(&format!("the size of {what}"), format!("{sizes:?}"), "must fit a `usize`"))
}

/// x becomes (A₁ ⊗ … ⊗ A_d) x, where `apply(k, X, out)` writes (A_k X)ᵀ for X with a row for each index of
/// factor k.
///
/// The last index of x runs fastest, so X is x itself, read as a matrix; writing the product transposed makes
/// the next factor's index the fastest. After all factors the order is the first again.
pub(super) fn along_axes<T: Scalar>(
    x: &mut Vec<T>,
    sizes: &[usize],
    mut apply: impl FnMut(usize, MatRef<'_, T>, MatMut<'_, T>) -> Result<()>,
) -> Result<()> {
    let mut out = vec![T::from_f64(0.0); x.len()];
    for (axis, &size) in sizes.iter().enumerate().rev() {
        let rest = x.len() / size;
        let source = MatRef::from_column_major_slice(x, size, rest);
        apply(axis, source, MatMut::from_column_major_slice_mut(&mut out, rest, size))?;
        std::mem::swap(x, &mut out);
    }
    Ok(())
}

/// B with each column replaced by what becomes of it.
pub(super) fn by_column<T: Scalar>(
    b: MatRef<'_, T>,
    mut change: impl FnMut(&mut Vec<T>) -> Result<()>,
) -> Result<Mat<T>> {
    let mut out = padded(b.nrows(), b.ncols());
    let mut x = Vec::new();
    for col in 0..b.ncols() {
        x.clear();
        x.extend(b.col(col).iter().copied());
        change(&mut x)?;
        column_mut(out.as_mut().rb_mut(), col).copy_from_slice(&x);
    }
    Ok(out)
}

/// a₁ ⊗ … ⊗ a_d for vectors, the last index fastest.
pub(super) fn outer<T: Scalar>(factors: &[&[T]]) -> Vec<T> {
    let start = vec![T::from_f64(1.0)];
    factors.iter().fold(start, |done, factor| {
        done.iter().flat_map(|&value| factor.iter().map(move |&next| value * next)).collect()
    })
}
