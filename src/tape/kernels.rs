//! Covariance matrices, with gradients in hyperparameters and inputs.

use std::fmt;

use faer::Mat;

use super::{Pullback, Tape, Value, Var};
use crate::kernel::{
    GradientRequest, Gradients, Kernel, Part, check_differentiable, cross_into, cross_vjp_with_values, diag_into,
    diag_vjp, gram_into, gram_vjp_with_values,
};
use crate::linalg::{cast_column, column, column_mut};
use crate::params::ParameterizedExt;
use crate::{Result, Scalar};

/// A kernel on a [`Tape`], with the variable of its hyperparameters: see [`Tape::kernel`]. Its matrices can fail, for points
/// that it cannot read or gradients that it does not have, and are `Result`s.
pub struct KernelVar<'t, 'a, T: Scalar> {
    tape: &'t Tape<'a, T>,
    kernel: &'a dyn Kernel<T>,
    theta: usize,
}

impl<'t, 'a, T: Scalar> KernelVar<'t, 'a, T> {
    /// The kernel.
    pub fn kernel(&self) -> &'a dyn Kernel<T> {
        self.kernel
    }

    /// All its hyperparameters, frozen ones included, in natural units, in visiting order: p × 1.
    pub fn theta(&self) -> Var<'t, T> {
        self.tape.var(self.theta)
    }

    /// K(X, X) for n points, one a row: n × n.
    ///
    /// # Errors
    ///
    /// Those of [`gram_into`]; [`Error::NotDifferentiable`](crate::Error::NotDifferentiable) if a gradient is needed that the kernel
    /// does not have; [`Error::Setting`](crate::Error::Setting) for a variable of another tape; the error that the tape
    /// [keeps](Var#errors), if there is one.
    pub fn gram(&self, x: Var<'_, T>) -> Result<Var<'t, T>> {
        let Self { tape, kernel, theta } = *self;
        let (x, points) = self.points(x)?;
        let n = points.as_mat().nrows();
        let mut value = tape.core.take(n, n);
        gram_into(kernel, points.as_mat(), value.as_mut(), tape.par())?;
        let gram = self.covariance(value, &[theta, x], move |c, pull| {
            let wanted = GradientRequest { x: pull.wants(x), z: false };
            let (points, values) = (pull.value(x), pull.result());
            let part = if pull.has_half() { Part::Lower } else { Part::Whole };
            let gradients = gram_vjp_with_values(kernel, points, values, (c.as_ref(), part), wanted, pull.par)?;
            pull.recycle(c);
            give(pull, theta, x, x, gradients);
            Ok(())
        });
        tape.nodes.borrow_mut()[gram.index].takes_half = true;
        Ok(gram)
    }

    /// K(X, Z) for n points X and m points Z, one a row: n × m.
    ///
    /// # Errors
    ///
    /// Those of [`cross_into`]; [`Error::NotDifferentiable`](crate::Error::NotDifferentiable) if a gradient is needed that the kernel
    /// does not have; [`Error::Setting`](crate::Error::Setting) for a variable of another tape; the error that the tape
    /// [keeps](Var#errors), if there is one.
    pub fn cross(&self, x: Var<'_, T>, z: Var<'_, T>) -> Result<Var<'t, T>> {
        let Self { tape, kernel, theta } = *self;
        let ((x, first), (z, second)) = (self.points(x)?, self.points(z)?);
        let mut value = tape.core.take(first.as_mat().nrows(), second.as_mat().nrows());
        cross_into(kernel, first.as_mat(), second.as_mat(), value.as_mut(), tape.par())?;
        Ok(self.covariance(value, &[theta, x, z], move |c, pull| {
            let wanted = GradientRequest { x: pull.wants(x), z: pull.wants(z) };
            let (points, values) = ([pull.value(x), pull.value(z)], pull.result());
            let gradients = cross_vjp_with_values(kernel, points, values, c.as_ref(), wanted, pull.par)?;
            pull.recycle(c);
            give(pull, theta, x, z, gradients);
            Ok(())
        }))
    }

    /// k(xᵢ, xᵢ) for n points, one a row: n × 1.
    ///
    /// # Errors
    ///
    /// Those of [`diag_into`]; [`Error::NotDifferentiable`](crate::Error::NotDifferentiable) if a gradient is needed that the kernel
    /// does not have; [`Error::Setting`](crate::Error::Setting) for a variable of another tape; the error that the tape
    /// [keeps](Var#errors), if there is one.
    pub fn diag(&self, x: Var<'_, T>) -> Result<Var<'t, T>> {
        let Self { tape, kernel, theta } = *self;
        let (x, points) = self.points(x)?;
        let mut value = tape.core.take(points.as_mat().nrows(), 1);
        diag_into(kernel, points.as_mat(), column_mut(value.as_mut(), 0))?;
        Ok(self.covariance(value, &[theta, x], move |c, pull| {
            let wanted = GradientRequest { x: pull.wants(x), z: false };
            let gradients = diag_vjp(kernel, pull.value(x), column(c.as_ref(), 0), wanted)?;
            pull.recycle(c);
            give(pull, theta, x, x, gradients);
            Ok(())
        }))
    }

    /// The points, if they belong here and their gradient can be had.
    fn points(&self, x: Var<'_, T>) -> Result<(usize, Value<'a, T>)> {
        if self.tape.needs_gradient(x)? {
            check_differentiable(self.kernel)?;
        }
        Ok((x.on(self.tape)?, self.tape.value(x)?))
    }

    fn covariance(
        &self,
        value: Mat<T>,
        operands: &[usize],
        reverse: impl Fn(Mat<T>, &mut Pullback<'_, T>) -> Result<()> + 'a,
    ) -> Var<'t, T> {
        let index = self.tape.record(value, operands, reverse);
        self.tape.var(self.tape.rounded_input(index))
    }
}

impl<T: Scalar> Clone for KernelVar<'_, '_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Scalar> Copy for KernelVar<'_, '_, T> {}

impl<T: Scalar> fmt::Debug for KernelVar<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelVar").field("kernel", &self.kernel).field("theta", &self.theta()).finish()
    }
}

impl<'a, T: Scalar> Tape<'a, T> {
    /// A kernel whose hyperparameters get a gradient: that of [`KernelVar::theta`].
    ///
    /// # Errors
    ///
    /// [`Error::NotDifferentiable`](crate::Error::NotDifferentiable) with the path of the first node without vector-Jacobian product.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::tape::Tape;
    ///
    /// let kernel = 3.0 * Linear::new(0.5);
    /// let x = mat![[2.0], [1.0]];
    /// let tape = Tape::new(Par::Seq);
    /// let kernel = tape.kernel(&kernel)?;
    /// let loss = kernel.gram(tape.constant(x.as_ref()))?.sum();
    /// assert_eq!(tape.scalar(loss)?, 13.5);
    /// let gradients = tape.backward(loss)?;
    /// assert_eq!(gradients.get(kernel.theta()).unwrap(), mat![[4.5], [27.0]]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn kernel(&self, kernel: &'a dyn Kernel<T>) -> Result<KernelVar<'_, 'a, T>> {
        check_differentiable(kernel)?;
        let theta = self.parameter_values(&kernel.values()).index;
        Ok(KernelVar { tape: self, kernel, theta })
    }

    /// A [`kernel`](Self::kernel), or a [`fixed_kernel`](Self::fixed_kernel).
    pub(crate) fn kernel_var(&self, kernel: &'a dyn Kernel<T>, differentiable: bool) -> Result<KernelVar<'_, 'a, T>> {
        if differentiable { self.kernel(kernel) } else { Ok(self.fixed_kernel(kernel)) }
    }

    /// A kernel whose hyperparameters are constants. It needs to be differentiable only where its
    /// inputs have gradients.
    pub fn fixed_kernel(&self, kernel: &'a dyn Kernel<T>) -> KernelVar<'_, 'a, T> {
        let theta = self.constant_owned(cast_column(&kernel.values())).index;
        KernelVar { tape: self, kernel, theta }
    }
}

fn give<T: Scalar>(pull: &mut Pullback<'_, T>, theta: usize, x: usize, z: usize, gradients: Gradients<T>) {
    pull.add(theta, |mut out, accum| {
        for (row, &amount) in gradients.theta.iter().enumerate() {
            let before = if accum == faer::Accum::Add { out[(row, 0)] } else { T::from_f64(0.0) };
            out[(row, 0)] = before + T::from_f64(amount);
        }
    });
    for (operand, gradient) in [(x, gradients.x), (z, gradients.z)] {
        if let Some(gradient) = gradient {
            pull.give(operand, gradient);
        }
    }
}
