//! Scalars whose value is evaluated apart.

use faer::Accum;
use faer::Mat;

use super::{Tape, Var, columns};
use crate::linalg::column_mut;
use crate::{Result, Scalar};

/// The gradient of an [evaluated](Tape::evaluated) scalar in one variable A.
#[derive(Clone, Debug)]
pub(crate) enum Slope {
    /// A: that of ½‖A‖².
    Itself,
    /// diag(g), of a square A.
    Diagonal(Vec<f64>),
    /// Of the shape of A.
    Given(Mat<f64>),
}

/// The gradient of an evaluated scalar in several columns.
pub(crate) trait Slopes {
    /// That in the column of this number.
    fn of(&self, operand: usize) -> &[f64];
}

impl<'a, T: Scalar> Tape<'a, T> {
    /// As [`evaluated`](Self::evaluated), of columns whose gradients are there already.
    pub(crate) fn evaluated_from(&self, value: f64, operands: Vec<Var<'_, T>>, slopes: impl Slopes + 'a) -> Var<'_, T> {
        let operands = operands.into_iter().map(|operand| operand.on(self)).collect::<Result<Vec<_>>>();
        let record = |operands: Vec<usize>| {
            let mut scalar = self.core.take(1, 1);
            scalar[(0, 0)] = T::from_f64(value);
            let owned = operands.clone();
            self.record(scalar, &operands, move |c, pull| {
                let factor = c[(0, 0)].as_f64();
                pull.recycle(c);
                for (number, &operand) in owned.iter().enumerate() {
                    let slopes = slopes.of(number);
                    pull.add(operand, |out, accum| {
                        for (out, &slope) in column_mut(out, 0).iter_mut().zip(slopes) {
                            let amount = T::from_f64(factor * slope);
                            *out = if accum == Accum::Add { *out + amount } else { amount };
                        }
                    });
                }
                Ok(())
            })
        };
        self.var(self.core.keep(operands.map(record)))
    }

    /// A 1 × 1 variable of this value, by its gradient in the variables that it depends on: for a formula whose value
    /// keeps more digits than the sum of its terms, and whose gradient does not come from it. Of a variable that is
    /// named more than once, the gradients add up.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Setting`](crate::Error::Setting) for a variable of another tape.
    pub(crate) fn evaluated(&self, value: f64, slopes: Vec<(Var<'_, T>, Slope)>) -> Var<'_, T> {
        let place = |(operand, slope): (Var<'_, T>, Slope)| Ok((operand.on(self)?, slope));
        let slopes = slopes.into_iter().map(place).collect::<Result<Vec<_>>>();
        self.var(self.core.keep(slopes.map(|slopes| self.scalar_of_slopes(value, slopes))))
    }

    fn scalar_of_slopes(&self, value: f64, slopes: Vec<(usize, Slope)>) -> usize {
        let mut scalar = self.core.take(1, 1);
        scalar[(0, 0)] = T::from_f64(value);
        let operands: Vec<usize> = slopes.iter().map(|&(operand, _)| operand).collect();
        self.record(scalar, &operands, move |c, pull| {
            let factor = c[(0, 0)];
            pull.recycle(c);
            for (operand, slope) in &slopes {
                let operand = *operand;
                let before = pull.value(operand);
                pull.add(operand, |mut out, accum| match slope {
                    Slope::Itself => columns::map_into(out, accum, before, |a| factor * a),
                    Slope::Diagonal(entries) => {
                        if accum == Accum::Replace {
                            out.fill(T::from_f64(0.0));
                        }
                        for (i, &entry) in entries.iter().enumerate() {
                            out[(i, i)] += factor * T::from_f64(entry);
                        }
                    }
                    Slope::Given(gradient) => {
                        for col in 0..gradient.ncols() {
                            for row in 0..gradient.nrows() {
                                let before = if accum == Accum::Add { out[(row, col)] } else { T::from_f64(0.0) };
                                out[(row, col)] = before + factor * T::from_f64(gradient[(row, col)]);
                            }
                        }
                    }
                });
            }
            Ok(())
        })
    }
}
