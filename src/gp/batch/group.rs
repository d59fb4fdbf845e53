//! Outputs that one factorisation serves.

use faer::{Mat, MatRef, Par};
use rayon::prelude::*;

use super::BatchGp;
use crate::batch::BatchPoints;
use crate::data::rows;
use crate::gp::checks::{check_inputs, check_psd};
use crate::kernel::Kernel;
use crate::mean::MeanExpr;
use crate::{Error, Expr, Result, Scalar};

/// Outputs with one covariance of the same rows: those that share all of kernel and noise, inputs and
/// missing rows; or a single one.
pub(super) struct Group<T: Scalar> {
    /// Which outputs, in order.
    pub(super) outputs: Vec<usize>,
    /// The rows that are seen, and the others.
    pub(super) seen: Vec<usize>,
    pub(super) missing: Vec<usize>,
    /// The inputs of the rows that are seen, and of the others.
    pub(super) x: Mat<T>,
    pub(super) missing_x: Mat<T>,
    /// A column for each of the outputs, of the rows that are seen.
    pub(super) y: Mat<T>,
}

impl<T: Scalar> Group<T> {
    fn new(outputs: Vec<usize>, missing: Vec<usize>, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<Self> {
        let seen: Vec<usize> = (0..y.nrows()).filter(|row| missing.binary_search(row).is_err()).collect();
        if seen.is_empty() {
            return Err(Error::Empty { what: format!("y without its missing values, of output {}", outputs[0]) });
        }
        let of_outputs = Mat::from_fn(seen.len(), outputs.len(), |row, col| y[(seen[row], outputs[col])]);
        let (seen_x, missing_x) = (rows(x, &seen)?, rows(x, &missing)?);
        Ok(Self { outputs, seen, missing, x: seen_x, missing_x, y: of_outputs })
    }

    /// Values of the rows that are seen and of the others, as one column.
    pub(super) fn merge<V: Copy>(&self, seen: &[V], missing: &[V], zero: V) -> Vec<V> {
        let mut all = vec![zero; self.seen.len() + self.missing.len()];
        self.seen.iter().zip(seen).for_each(|(&row, &value)| all[row] = value);
        self.missing.iter().zip(missing).for_each(|(&row, &value)| all[row] = value);
        all
    }
}

impl<K: Expr + Clone> BatchGp<K> {
    /// The outputs in groups, once inputs and observations are found to fit.
    pub(super) fn groups<T: Scalar>(&self, x: &BatchPoints<'_, T>, y: MatRef<'_, T>) -> Result<Vec<Group<T>>>
    where
        K: Kernel<T>,
    {
        self.check_outputs("the columns of y", y.ncols())?;
        let together = matches!(x, BatchPoints::Shared(_)) && self.kernel.is_one() && self.likelihood.is_one();
        let mut groups: Vec<(Vec<usize>, Vec<usize>)> = Vec::new();
        for output in 0..self.outputs() {
            self.check_output(output, self.inputs_of(x, output)?, y)?;
            let missing: Vec<usize> = (0..y.nrows()).filter(|&row| y[(row, output)].as_f64().is_nan()).collect();
            match groups.iter_mut().find(|(_, others)| together && *others == missing) {
                Some((outputs, _)) => outputs.push(output),
                None => groups.push((vec![output], missing)),
            }
        }
        let group = |(outputs, missing): (Vec<usize>, _)| {
            let x = self.inputs_of(x, outputs[0])?;
            Group::new(outputs, missing, x, y)
        };
        groups.into_iter().map(group).collect()
    }

    fn inputs_of<'a, T: Scalar>(&self, x: &BatchPoints<'a, T>, output: usize) -> Result<MatRef<'a, T>> {
        x.of_member("x", output, self.outputs())?.points("x")
    }

    fn check_output<T: Scalar>(&self, output: usize, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<()>
    where
        K: Kernel<T>,
    {
        let (kernel, mean) = (&self.kernel.members()[output], &self.mean.members()[output]);
        check_inputs(x, [kernel as &dyn Kernel<T>], [mean])?;
        if x.nrows() != y.nrows() {
            let expected = format!("{} row(s), as x of output {output} has", x.nrows());
            return Err(Error::shape("y", expected, (y.nrows(), y.ncols())));
        }
        if let Some(row) = (0..y.nrows()).find(|&row| y[(row, output)].as_f64().is_infinite()) {
            let value = y[(row, output)].as_f64();
            return Err(Error::NonFinite { what: "y".to_owned(), row, col: output, value });
        }
        kernel.inputs(x.ncols())?;
        mean.check_dim(x.ncols())?;
        check_psd(kernel, x.ncols(), self.allow_indefinite)
    }
}

/// Does something with each, in parallel if that is wanted, and keeps the order; of several errors too, the
/// first.
pub(super) fn map<G: Sync, R: Send>(
    groups: &[G],
    par: Par,
    f: impl Fn(&G) -> Result<R> + Send + Sync,
) -> Result<Vec<R>> {
    match par {
        Par::Seq => groups.iter().map(f).collect(),
        Par::Rayon(_) => groups.par_iter().map(f).collect::<Vec<_>>().into_iter().collect(),
    }
}
