//! Which Matérn kernels an expression is made of, found from its values.

use faer::{Mat, MatRef, Par};

use super::super::waves::Combination;
use super::matern::{ORDERS, Order};
use crate::kernel::{Expr, Kernel, Wanted, cross_into, cross_vjp, text};
use crate::linalg::cast_column;
use crate::params::ParameterizedExt;
use crate::tape::{KernelVar, Tape, Var};
use crate::{Error, Result, Scalar};

/// Distances, in units of the one where a correlation has fallen to about a half, at which it is compared.
const COMPARED: [f64; 4] = [0.2, 0.6, 2.0, 4.0];

/// So far in units of the interval, every Matérn kernel of use has fallen to 0.
const FAR: f64 = (1u64 << 40) as f64;

/// A Matérn kernel of each coordinate.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    pub(super) orders: Vec<Order>,
    /// On the tape, a column for each coordinate: σ² and λ. In a product, σ² is that of the first
    /// coordinate, and 1 for the others.
    pub(super) parameters: Var,
}

/// What is known of one coordinate: k at the distances r and ∞ along it.
#[derive(Clone, Copy, Debug)]
struct Coordinate {
    order: Order,
    distance: f64,
    variance: f64,
    decay: f64,
}

/// The kernels whose sum or product k is, one a coordinate, with gradients in the hyperparameters.
///
/// From values alone, so whatever the expression is called and is composed of: along a coordinate, k falls from
/// k(0) to what the other coordinates leave, 0 for a product; where it has fallen by half, the decay is
/// solved for. Values at other distances, and off the axes, have to be those of the result.
pub(super) fn record<'a, T: Scalar>(
    tape: &Tape<'a, T>,
    kernel: KernelVar<'a, T>,
    combination: Combination,
    lengths: &[f64],
) -> Result<Fit> {
    let anchors = Anchors::find(kernel.kernel(), combination, lengths)?;
    if tape.needs_gradient(kernel.theta())? {
        anchors.check_gradient(kernel.kernel())?;
    }
    let dim = lengths.len();
    let points = tape.constant_owned(anchors.points::<T>());
    let values = tape.cross(kernel, points, tape.constant_owned(Mat::zeros(1, dim)))?;
    let found = Mat::from_fn(2, dim, |row, col| {
        T::from_f64(if row == 0 { anchors.variance(col) } else { anchors.coordinates[col].decay })
    });
    let orders = anchors.coordinates.iter().map(|coordinate| coordinate.order).collect();
    let backward = move |c: MatRef<'_, T>| {
        let c = Mat::from_fn(2, dim, |row, col| c[(row, col)].as_f64());
        vec![Some(cast_column(&anchors.pull_back(c.as_ref())))]
    };
    Ok(Fit { orders, parameters: tape.custom(&[values], found, Box::new(backward))? })
}

/// The values that determine the kernels: k(0), and along each coordinate k(r) and k(∞).
struct Anchors {
    combination: Combination,
    total: f64,
    far: f64,
    coordinates: Vec<Coordinate>,
    lengths: Vec<f64>,
}

impl Anchors {
    fn find<T: Scalar>(kernel: &dyn Kernel<T>, combination: Combination, lengths: &[f64]) -> Result<Self> {
        let dim = lengths.len();
        let along = |axis: usize, distance: f64| (0..dim).map(|d| if d == axis { distance } else { 0.0 }).collect();
        let total = values(kernel, &[vec![0.0; dim]])?[0];
        let mut coordinates = Vec::new();
        for (axis, &length) in lengths.iter().enumerate() {
            let far = match combination {
                Combination::Sum => values(kernel, &[along(axis, FAR * length)])?[0],
                Combination::Product => 0.0,
            };
            let variance = total - far;
            let correlation = |distance: f64| Ok((values(kernel, &[along(axis, distance)])?[0] - far) / variance);
            let Some((distance, half)) = half_way(length, correlation)? else {
                return Err(refused(kernel, combination));
            };
            let compared: Vec<_> = COMPARED.iter().map(|factor| along(axis, factor * distance)).collect();
            let compared = values(kernel, &compared)?;
            let fits = |order: &Order| {
                let q = order.solve(half);
                let miss =
                    |(factor, value): (&f64, &f64)| (far + variance * order.correlation(q * factor) - value).abs();
                COMPARED.iter().zip(&compared).all(|pair| miss(pair) <= tolerance::<T>() * total)
            };
            let Some(order) = ORDERS.into_iter().find(fits) else { return Err(refused(kernel, combination)) };
            coordinates.push(Coordinate { order, distance, variance, decay: order.solve(half) / distance });
        }
        let found = Self { combination, total, far: FAR, coordinates, lengths: lengths.to_vec() };
        found.check_elsewhere(kernel)?;
        Ok(found)
    }

    /// Refuses an expression that is another one off the axes.
    fn check_elsewhere<T: Scalar>(&self, kernel: &dyn Kernel<T>) -> Result<()> {
        let points = self.elsewhere();
        let found = values(kernel, &points)?;
        let agrees =
            |(point, value): (&Vec<f64>, &f64)| (self.value(point) - value).abs() <= tolerance::<T>() * self.total;
        if points.iter().zip(&found).all(agrees) { Ok(()) } else { Err(refused(kernel, self.combination)) }
    }

    /// Points off the axes, and one where nothing is left.
    fn elsewhere(&self) -> Vec<Vec<f64>> {
        let scaled = |shift: usize| {
            let factor = |d: usize| [0.7, -1.3, 2.1][(shift + d) % 3];
            self.coordinates.iter().enumerate().map(|(d, at)| factor(d) * at.distance).collect()
        };
        let far = self.lengths.iter().map(|length| self.far * length).collect();
        vec![scaled(0), scaled(1), scaled(2), far]
    }

    fn variance(&self, axis: usize) -> f64 {
        match self.combination {
            Combination::Product if axis > 0 => 1.0,
            _ => self.coordinates[axis].variance,
        }
    }

    /// The sum or product of the kernels found.
    fn value(&self, point: &[f64]) -> f64 {
        let parts = self.correlations(point);
        match self.combination {
            Combination::Sum => parts.iter().zip(&self.coordinates).map(|(part, at)| at.variance * part).sum(),
            Combination::Product => self.total * parts.iter().product::<f64>(),
        }
    }

    fn correlations(&self, point: &[f64]) -> Vec<f64> {
        self.coordinates.iter().zip(point).map(|(at, x)| at.order.correlation(at.decay * x.abs())).collect()
    }

    /// k(0), and k(r) and k(∞) of each coordinate.
    fn points<T: Scalar>(&self) -> Mat<T> {
        let dim = self.coordinates.len();
        let mut points = Mat::zeros(1 + 2 * dim, dim);
        for (axis, at) in self.coordinates.iter().enumerate() {
            points[(1 + 2 * axis, axis)] = T::from_f64(at.distance);
            points[(2 + 2 * axis, axis)] = T::from_f64(self.far * self.lengths[axis]);
        }
        points
    }

    /// From cotangents of σ² and λ, 2 × D, to those of the values at [`points`](Self::points).
    ///
    /// With c = (k(r) − k(∞))/σ², σ² = k(0) − k(∞), and λ = q(c)/r: dλ = dc/(r κ′(q)).
    fn pull_back(&self, cotangent: MatRef<'_, f64>) -> Vec<f64> {
        let mut gradient = vec![0.0; 1 + 2 * self.coordinates.len()];
        for (axis, at) in self.coordinates.iter().enumerate() {
            let q = at.decay * at.distance;
            let in_correlation = cotangent[(1, axis)] / (at.distance * at.order.slope(q)) / at.variance;
            let in_variance = match self.combination {
                Combination::Product if axis > 0 => 0.0,
                _ => cotangent[(0, axis)],
            } - in_correlation * at.order.correlation(q);
            gradient[0] += in_variance;
            gradient[1 + 2 * axis] += in_correlation;
            if self.combination == Combination::Sum {
                gradient[2 + 2 * axis] -= in_correlation + in_variance;
            }
        }
        gradient
    }

    /// Refuses an expression that a free hyperparameter makes another one: a smoothness, or a weight of a part that is
    /// 0. Values off the axes have to change as those of the kernels found do.
    fn check_gradient<T: Scalar>(&self, kernel: &dyn Kernel<T>) -> Result<()> {
        let points = self.elsewhere();
        let weights = [1.0, 0.6, -0.8, 0.5];
        let mut in_found = Mat::zeros(2, self.coordinates.len());
        for (point, weight) in points.iter().zip(weights) {
            let parts = self.correlations(point);
            for (axis, at) in self.coordinates.iter().enumerate() {
                let (x, others) = (point[axis].abs(), parts.iter().enumerate().filter(|(other, _)| *other != axis));
                let scale = match self.combination {
                    Combination::Sum => at.variance,
                    Combination::Product => self.total * others.map(|(_, part)| part).product::<f64>(),
                };
                // Where nothing is left, nothing changes either.
                let fall = at.order.slope(at.decay * x);
                in_found[(1, axis)] += if fall == 0.0 { 0.0 } else { weight * scale * x * fall };
                in_found[(0, axis)] += weight
                    * match self.combination {
                        Combination::Sum => parts[axis],
                        Combination::Product if axis == 0 => parts.iter().product(),
                        Combination::Product => 0.0,
                    };
            }
        }
        let expected = theta_gradient(kernel, self.points::<T>().as_ref(), &self.pull_back(in_found.as_ref()))?;
        let found = theta_gradient(kernel, matrix::<T>(&points).as_ref(), &weights)?;
        let largest = expected.iter().chain(&found).fold(0.0f64, |largest, value| largest.max(value.abs()));
        let most = 100.0 * T::epsilon().as_f64().sqrt() * largest;
        let parameters = kernel.parameters();
        let strays = |index: usize| parameters[index].free && (expected[index] - found[index]).abs() > most;
        match (0..parameters.len()).find(|&index| strays(index)) {
            None => Ok(()),
            Some(index) => {
                let expected = "leads away from the Matérn kernels that Fourier features are for: freeze it";
                Err(Error::setting("the hyperparameter", &parameters[index].path, expected))
            }
        }
    }
}

/// A distance at which a correlation is between ¼ and ¾, and what it is there.
fn half_way(start: f64, correlation: impl Fn(f64) -> Result<f64>) -> Result<Option<(f64, f64)>> {
    let mut distance = start;
    for _ in 0..200 {
        let value = correlation(distance)?;
        if (0.25..=0.75).contains(&value) {
            return Ok(Some((distance, value)));
        }
        distance *= match value {
            value if value > 0.75 => 1.5,
            value if value < 0.25 => 0.5,
            _ => return Ok(None),
        };
    }
    Ok(None)
}

/// Units of rounding of the largest value that a value may differ by.
fn tolerance<T: Scalar>() -> f64 {
    500.0 * T::epsilon().as_f64()
}

fn matrix<T: Scalar>(points: &[Vec<f64>]) -> Mat<T> {
    Mat::from_fn(points.len(), points[0].len(), |row, col| T::from_f64(points[row][col]))
}

/// k(x, 0)
fn values<T: Scalar>(kernel: &dyn Kernel<T>, points: &[Vec<f64>]) -> Result<Vec<f64>> {
    let points = matrix::<T>(points);
    let mut out = Mat::<T>::zeros(points.nrows(), 1);
    let origin = Mat::zeros(1, points.ncols());
    cross_into(kernel, points.as_ref(), origin.as_ref(), out.as_mut(), Par::Seq)?;
    Ok(out.col_as_slice(0).iter().map(|value| value.as_f64()).collect())
}

/// The gradient of Σ wᵢ k(xᵢ, 0) in the hyperparameters.
fn theta_gradient<T: Scalar>(kernel: &dyn Kernel<T>, points: MatRef<'_, T>, weights: &[f64]) -> Result<Vec<f64>> {
    let origin = Mat::zeros(1, points.ncols());
    let weights = cast_column::<T>(weights);
    Ok(cross_vjp(kernel, points, origin.as_ref(), weights.as_ref(), Wanted::PARAMETERS, Par::Seq)?.theta)
}

/// The error for an expression that Fourier features have no covariances for.
pub(super) fn refused(kernel: &dyn Expr, combination: Combination) -> Error {
    let expected = match combination {
        Combination::Sum => {
            "must be a sum of Matérn kernels of smoothness 1/2, 3/2 or 5/2, times numbers, one of each coordinate"
        }
        Combination::Product => {
            "must be a product of Matérn kernels of smoothness 1/2, 3/2 or 5/2, one of each coordinate, times a number"
        }
    };
    Error::setting("the kernel of Fourier features", text(kernel), expected)
}
