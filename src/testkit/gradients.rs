//! Laws about gradients: every vector-Jacobian product against finite differences.

use faer::{Mat, MatRef, Par};

use super::sample::{Stream, index_counts};
use super::violation::{Law, Violation};
use crate::kernel::{
    GradientRequest, Gradients, Part, cross_into, cross_vjp, cross_vjp_with_values, diag_into, diag_vjp, gram_into,
    gram_vjp, gram_vjp_with_values, matmul_into, matmul_vjp,
};
use crate::params::ParameterizedExt;
use crate::{Kernel, Result as Evaluated};

/// Relative to 1 and to the derivative: finite differences with the step below are good to 1e-9 for
/// kernels of order 1.
const TOLERANCE: f64 = 1e-6;

/// Step of the differences, relative to hyperparameters and absolute in inputs. The formula has an
/// error in its fourth power, so that a step this large loses few digits to cancellation.
const STEP: f64 = 1e-3;

/// The derivative at 0 of a function of one number, by a central difference of fourth order.
///
/// # Examples
///
/// ```
/// let derivative = mercer::testkit::directional_difference(1e-3, |t| (2.0 * t).exp());
/// assert!((derivative - 2.0).abs() < 1e-9);
/// ```
pub fn directional_difference(step: f64, mut f: impl FnMut(f64) -> f64) -> f64 {
    (8.0 * (f(step) - f(-step)) - (f(2.0 * step) - f(-2.0 * step))) / (12.0 * step)
}

/// The gradient of a function of several numbers, by central differences of fourth order with a step
/// of 10⁻³, relative to the coordinates that are not 0.
///
/// # Examples
///
/// ```
/// let gradient = mercer::testkit::difference(&[2.0, 0.0], |x| x[0] * x[0] + x[1].sin());
/// assert!((gradient[0] - 4.0).abs() < 1e-9);
/// assert!((gradient[1] - 1.0).abs() < 1e-9);
/// ```
pub fn difference(at: &[f64], mut f: impl FnMut(&[f64]) -> f64) -> Vec<f64> {
    let mut moved = at.to_vec();
    let mut gradient = Vec::with_capacity(at.len());
    for (index, &value) in at.iter().enumerate() {
        let step = if value == 0.0 { STEP } else { STEP * value.abs() };
        gradient.push(directional_difference(step, |by| {
            moved[index] = value + by;
            f(&moved)
        }));
        moved[index] = value;
    }
    gradient
}

/// One driver as a function of hyperparameters and inputs: Σ cotangent ∘ result, and its gradient.
struct Loss<'k> {
    law: Law<'k>,
    kernel: &'k dyn Kernel<f64>,
    driver: Driver,
    v: Mat<f64>,
    cotangent: Mat<f64>,
}

#[derive(Clone, Copy)]
enum Driver {
    Gram,
    Cross,
    Diag,
    Matmul,
}

/// Hyperparameters and inputs.
#[derive(Clone)]
struct At {
    theta: Vec<f64>,
    x: Mat<f64>,
    z: Mat<f64>,
}

impl<'k> Loss<'k> {
    fn all(kernel: &'k dyn Kernel<f64>, n: usize, m: usize) -> [Self; 4] {
        let mut stream = Stream::new(11);
        let mut loss = |name, driver, rows, cols| Loss {
            law: Law { name, kernel },
            kernel,
            driver,
            v: stream.matrix(m, 2),
            cotangent: stream.matrix(rows, cols),
        };
        [
            loss("the gradient of the Gram matrix", Driver::Gram, n, n),
            loss("the gradient of the cross-covariance", Driver::Cross, n, m),
            loss("the gradient of the diagonal", Driver::Diag, n, 1),
            loss("the gradient of the product", Driver::Matmul, n, 2),
        ]
    }

    fn value(&self, at: &At) -> Evaluated<f64> {
        let mut kernel = dyn_clone::clone_box(self.kernel);
        kernel.set_values(&at.theta)?;
        let (x, z) = (at.x.as_ref(), at.z.as_ref());
        let mut out = Mat::zeros(self.cotangent.nrows(), self.cotangent.ncols());
        match self.driver {
            Driver::Gram => gram_into(&*kernel, x, out.as_mut(), Par::Seq)?,
            Driver::Cross => cross_into(&*kernel, x, z, out.as_mut(), Par::Seq)?,
            Driver::Diag => diag_into(&*kernel, x, out.col_as_slice_mut(0))?,
            Driver::Matmul => matmul_into(&*kernel, x, z, self.v.as_ref(), out.as_mut(), Par::Seq)?,
        }
        let terms = out.col_iter().zip(self.cotangent.col_iter());
        Ok(terms.map(|(k, w)| k.iter().zip(w.iter()).map(|(k, w)| k * w).sum::<f64>()).sum())
    }

    fn gradients(&self, at: &At, wanted: GradientRequest) -> Evaluated<Gradients<f64>> {
        let (x, z, w) = (at.x.as_ref(), at.z.as_ref(), self.cotangent.as_ref());
        match self.driver {
            Driver::Gram => gram_vjp(self.kernel, x, w, wanted, Par::Seq),
            Driver::Cross => cross_vjp(self.kernel, x, z, w, wanted, Par::Seq),
            Driver::Diag => diag_vjp(self.kernel, x, self.cotangent.col_as_slice(0), wanted),
            Driver::Matmul => matmul_vjp(self.kernel, x, z, self.v.as_ref(), w, wanted, Par::Seq),
        }
    }

    /// The gradient in the hyperparameters is the same where none in the points is wanted, and where only
    /// that in one set is: kernels take shorter ways there.
    fn same_when_less_is_wanted(&self, at: &At, theta: &[f64]) -> Result<(), Violation> {
        for wanted in
            [GradientRequest::PARAMETERS, GradientRequest { x: false, z: true }, GradientRequest { x: true, z: false }]
        {
            let gradients = self.law.evaluated(self.gradients(at, wanted))?;
            for ((parameter, &found), &expected) in self.kernel.parameters().iter().zip(&gradients.theta).zip(theta) {
                self.agrees(|| format!("{}, with {wanted:?}", parameter.path), found, expected)?;
            }
            self.same_from_values(at, &gradients, wanted)?;
        }
        Ok(())
    }

    /// The gradients are the same from values that are at hand: kernels whose slope follows from their value go another way.
    fn same_from_values(&self, at: &At, expected: &Gradients<f64>, wanted: GradientRequest) -> Result<(), Violation> {
        let (x, z, w) = (at.x.as_ref(), at.z.as_ref(), self.cotangent.as_ref());
        let mut values = Mat::zeros(w.nrows(), w.ncols());
        let found = match self.driver {
            Driver::Gram => gram_into(self.kernel, x, values.as_mut(), Par::Seq).and_then(|()| {
                gram_vjp_with_values(self.kernel, x, values.as_ref(), (w, Part::Whole), wanted, Par::Seq)
            }),
            Driver::Cross => cross_into(self.kernel, x, z, values.as_mut(), Par::Seq)
                .and_then(|()| cross_vjp_with_values(self.kernel, [x, z], values.as_ref(), w, wanted, Par::Seq)),
            Driver::Diag | Driver::Matmul => return Ok(()),
        };
        let found = self.law.evaluated(found)?;
        let entries = |gradients: &Gradients<f64>| {
            let points = [&gradients.x, &gradients.z].into_iter().flatten();
            let points = points
                .flat_map(|points| points.col_iter().flat_map(|column| column.iter().copied()).collect::<Vec<f64>>());
            gradients.theta.iter().copied().chain(points).collect::<Vec<f64>>()
        };
        for (index, (found, expected)) in entries(&found).into_iter().zip(entries(expected)).enumerate() {
            let size = w.norm_l1() + expected.abs();
            self.law.close(
                || format!("number {index}, from values, with {wanted:?}"),
                found,
                expected,
                1e-12 * size,
            )?;
        }
        Ok(())
    }

    fn derivative(&self, step: f64, mut at: impl FnMut(f64) -> At) -> Result<f64, Violation> {
        let mut failure = Ok(0.0);
        let derivative = directional_difference(step, |by| match self.value(&at(by)) {
            Ok(value) => value,
            Err(error) => {
                failure = Err(error);
                0.0
            }
        });
        self.law.evaluated(failure)?;
        Ok(derivative)
    }

    fn agrees(&self, place: impl FnOnce() -> String, found: f64, expected: f64) -> Result<(), Violation> {
        self.law.close(place, found, expected, TOLERANCE * (1.0 + expected.abs()))
    }

    /// The columns of the points that hold an index, in which there is no derivative.
    fn indices(&self, at: &At) -> Vec<usize> {
        let counts = index_counts(self.kernel, at.x.ncols());
        (0..counts.len()).filter(|&col| counts[col].is_some()).collect()
    }

    fn elementwise(&self, at: &At) -> Result<(), Violation> {
        let Gradients { theta, x, z } = self.law.evaluated(self.gradients(at, GradientRequest::ALL))?;
        self.same_when_less_is_wanted(at, &theta)?;
        let parameters = self.kernel.parameters();
        if theta.len() != parameters.len() {
            return self.law.broken("the hyperparameters", theta.len(), parameters.len());
        }
        for (index, (parameter, found)) in parameters.iter().zip(theta).enumerate() {
            let step = if parameter.value == 0.0 { STEP } else { STEP * parameter.value.abs() };
            let expected = self.derivative(step, |by| {
                let mut moved = at.clone();
                moved.theta[index] += by;
                moved
            })?;
            self.agrees(|| parameter.path.clone(), found, expected)?;
        }
        let indices = self.indices(at);
        for (name, gradient) in [("x", x), ("z", z)] {
            let Some(gradient) = gradient else { continue };
            for col in (0..gradient.ncols()).filter(|col| !indices.contains(col)) {
                for row in 0..gradient.nrows() {
                    let expected = self.derivative(STEP, |by| {
                        let mut moved = at.clone();
                        let points = if name == "x" { &mut moved.x } else { &mut moved.z };
                        points[(row, col)] += by;
                        moved
                    })?;
                    self.agrees(|| format!("{name}[{row}, {col}]"), gradient[(row, col)], expected)?;
                }
            }
        }
        Ok(())
    }

    fn directional(&self, at: &At) -> Result<(), Violation> {
        let mut stream = Stream::new(17);
        let mut along = At {
            // In proportion to the values, so that positive hyperparameters stay positive.
            theta: at.theta.iter().map(|value| stream.next() * value).collect(),
            x: stream.matrix(at.x.nrows(), at.x.ncols()),
            z: stream.matrix(at.z.nrows(), at.z.ncols()),
        };
        for col in self.indices(at) {
            along.x.col_mut(col).fill(0.0);
            along.z.col_mut(col).fill(0.0);
        }
        // Among thousands of pairs some are close: a short step keeps kinks out. The sum over as many
        // entries makes up for the digits that it costs.
        let step = 0.01 * STEP;
        let expected = self.derivative(step, |by| At {
            theta: at.theta.iter().zip(&along.theta).map(|(value, along)| value + by * along).collect(),
            x: &at.x + &along.x * faer::Scale(by),
            z: &at.z + &along.z * faer::Scale(by),
        })?;
        let Gradients { theta, x, z } = self.law.evaluated(self.gradients(at, GradientRequest::ALL))?;
        self.same_when_less_is_wanted(at, &theta)?;
        let dot = |a: &Mat<f64>, b: &Mat<f64>| (a.transpose() * b).diagonal().column_vector().iter().sum::<f64>();
        let found = theta.iter().zip(&along.theta).map(|(a, b)| a * b).sum::<f64>()
            + x.map_or(0.0, |x| dot(&x, &along.x))
            + z.map_or(0.0, |z| dot(&z, &along.z));
        let tolerance = TOLERANCE * (self.cotangent.nrows() as f64 + expected.abs());
        self.law.close(|| "a random direction".to_owned(), found, expected, tolerance)
    }
}

fn each(
    kernel: &dyn Kernel<f64>,
    x: MatRef<'_, f64>,
    z: MatRef<'_, f64>,
    check: impl Fn(&Loss<'_>, &At) -> Result<(), Violation>,
) -> Result<(), Violation> {
    let at = At { theta: kernel.values(), x: x.to_owned(), z: z.to_owned() };
    Loss::all(kernel, x.nrows(), z.nrows()).iter().try_for_each(|loss| check(loss, &at))
}

/// The gradients of the Gram matrix, the cross-covariance, the diagonal and the product, in each
/// hyperparameter and each coordinate, are those of finite differences: to 10⁻⁶ of the larger of 1 and
/// the derivative. Those in the hyperparameters are the same when less is wanted. For few points.
///
/// # Errors
///
/// The first [`Violation`], also if the kernel has no gradients.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::{gradients, points};
///
/// let (x, z) = (points(5, 2, 1), points(3, 2, 2));
/// gradients::elementwise(&(Matern32::new([0.5, 2.0]) * Linear::new(1.0)), x.as_ref(), z.as_ref())?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn elementwise(kernel: &dyn Kernel<f64>, x: MatRef<'_, f64>, z: MatRef<'_, f64>) -> Result<(), Violation> {
    each(kernel, x, z, |loss, at| loss.elementwise(at))
}

/// The derivatives of the same results along one random direction: for many points, at little cost.
///
/// # Errors
///
/// The first [`Violation`], also if the kernel has no gradients.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::{gradients, points};
///
/// let (x, z) = (points(100, 2, 1), points(50, 2, 2));
/// gradients::directional(&Matern32::new([0.5, 2.0]), x.as_ref(), z.as_ref())?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn directional(kernel: &dyn Kernel<f64>, x: MatRef<'_, f64>, z: MatRef<'_, f64>) -> Result<(), Violation> {
    each(kernel, x, z, |loss, at| loss.directional(at))
}
