//! What a batch is made of: kernels, or batches.

use faer::MatRef;

use super::{BatchPoints, Batched};
use crate::kernel::Kernel;
use crate::params::Parameterized;
use crate::{Result, Scalar};

/// One evaluation: a kernel with its points.
#[derive(Debug)]
pub struct Job<'a, T: Scalar> {
    pub(super) kernel: &'a dyn Kernel<T>,
    pub(super) x: MatRef<'a, T>,
    /// `None` for a Gram matrix.
    pub(super) z: Option<MatRef<'a, T>>,
}

mod sealed {
    use super::{BatchPoints, Job};
    use crate::{Result, Scalar};

    /// How a member takes part in evaluations.
    pub trait Evaluated<T: Scalar> {
        /// The sizes of the batches below, the outermost first; none for a kernel.
        fn sizes(&self) -> Vec<usize>;

        /// Appends the evaluations of all kernels below, in order.
        fn jobs<'a>(
            &'a self,
            x: &BatchPoints<'a, T>,
            z: Option<&BatchPoints<'a, T>>,
            jobs: &mut Vec<Job<'a, T>>,
        ) -> Result<()>;

        /// The gradient in the parameters, in visiting order, from those of the kernels below.
        fn gather(&self, of_kernels: &mut dyn Iterator<Item = Vec<f64>>) -> Vec<f64>;
    }
}

pub(super) use sealed::Evaluated;

/// A member of a [`Batched`] kernel at precision `T`: a kernel, or a batch of its own.
pub trait Member<T: Scalar>: Evaluated<T> + Parameterized + Clone + Send + Sync {}

impl<T: Scalar, M: Evaluated<T> + Parameterized + Clone + Send + Sync> Member<T> for M {}

impl<T: Scalar, K: Kernel<T>> Evaluated<T> for K {
    fn sizes(&self) -> Vec<usize> {
        Vec::new()
    }

    fn jobs<'a>(
        &'a self,
        x: &BatchPoints<'a, T>,
        z: Option<&BatchPoints<'a, T>>,
        jobs: &mut Vec<Job<'a, T>>,
    ) -> Result<()> {
        let z = z.map(|z| z.points("z")).transpose()?;
        jobs.push(Job { kernel: self, x: x.points("x")?, z });
        Ok(())
    }

    fn gather(&self, of_kernels: &mut dyn Iterator<Item = Vec<f64>>) -> Vec<f64> {
        of_kernels.next().unwrap_or_default()
    }
}

impl<T: Scalar, M: Member<T>> Evaluated<T> for Batched<M> {
    fn sizes(&self) -> Vec<usize> {
        let below = self.members().first().map_or_else(Vec::new, Evaluated::sizes);
        [self.members().len()].into_iter().chain(below).collect()
    }

    fn jobs<'a>(
        &'a self,
        x: &BatchPoints<'a, T>,
        z: Option<&BatchPoints<'a, T>>,
        jobs: &mut Vec<Job<'a, T>>,
    ) -> Result<()> {
        let count = self.members().len();
        for (index, member) in self.members().iter().enumerate() {
            let x = x.of_member("x", index, count)?;
            let z = z.map(|z| z.of_member("z", index, count)).transpose()?;
            member.jobs(&x, z.as_ref(), jobs)?;
        }
        Ok(())
    }

    fn gather(&self, of_kernels: &mut dyn Iterator<Item = Vec<f64>>) -> Vec<f64> {
        let of_members: Vec<Vec<f64>> = self.members().iter().map(|member| member.gather(of_kernels)).collect();
        self.fold(&of_members)
    }
}
