//! Matrices and gradients of all members, in parallel.

use faer::{MatMut, Par};
use rayon::prelude::*;

use super::member::{Evaluated, Job};
use super::{BatchMatrix, BatchPoints, Batched, InputGradients, Member};
use crate::kernel::{
    GradientRequest, Gradients, Workspace, cross_into, cross_into_with, cross_vjp, diag_into, gram_into,
    gram_into_with, gram_vjp,
};
use crate::{Error, Result, Scalar};

/// Matrices with fewer rows than this are one task each.
const PARALLEL: usize = 512;

/// Gradients of a loss through the kernels of a batch.
#[derive(Clone, Debug)]
pub struct BatchGradients<T: Scalar> {
    /// In the hyperparameters of the batch, frozen ones included, in natural units, in visiting order.
    pub theta: Vec<f64>,
    /// In the first argument, if wanted.
    pub x: Option<InputGradients<T>>,
    /// In the second argument, if wanted and there is one.
    pub z: Option<InputGradients<T>>,
}

impl<M> Batched<M> {
    /// The Gram matrices K_b(X_b, X_b): B × N × N, each exactly symmetric. Members are evaluated in
    /// parallel; the bits are those of [`gram_into`] for each.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the sets of points do not fit the batch or differ in their number of points
    /// (pad with NaN, and mask the kernel); otherwise as [`gram_into`].
    pub fn gram<'a, T: Scalar>(&self, x: impl Into<BatchPoints<'a, T>>) -> Result<BatchMatrix<T>>
    where
        M: Member<T>,
    {
        self.evaluate(&x.into(), None)
    }

    /// Writes the Gram matrices into `out`: see [`gram`](Self::gram).
    ///
    /// # Errors
    ///
    /// As [`gram`](Self::gram), and [`Error::Shape`] if `out` does not have the shape of the result, which
    /// `BatchMatrix::zeros` makes.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::batch::BatchMatrix;
    /// use mercer::prelude::*;
    ///
    /// let batch = Linear::new(1.0).batched(2)?.per_batch("linear.variance", &[1.0, 10.0])?;
    /// let mut out = BatchMatrix::zeros(&[2], 1, 1);
    /// batch.gram_into(mat![[3.0]].as_ref(), &mut out)?;
    /// assert_eq!(out.as_slice(), [9.0, 90.0]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn gram_into<'a, T: Scalar>(&self, x: impl Into<BatchPoints<'a, T>>, out: &mut BatchMatrix<T>) -> Result<()>
    where
        M: Member<T>,
    {
        self.evaluate_into(&x.into(), None, out)
    }

    /// Writes the cross-covariances into `out`: see [`cross`](Self::cross).
    ///
    /// # Errors
    ///
    /// As [`cross`](Self::cross), and [`Error::Shape`] if `out` does not have the shape of the result.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::batch::BatchMatrix;
    /// use mercer::prelude::*;
    ///
    /// let batch = Linear::new(1.0).batched(2)?.per_batch("linear.variance", &[1.0, 10.0])?;
    /// let mut out = BatchMatrix::zeros(&[2], 1, 1);
    /// batch.cross_into(mat![[3.0]].as_ref(), mat![[2.0]].as_ref(), &mut out)?;
    /// assert_eq!(out.as_slice(), [6.0, 60.0]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn cross_into<'a, T: Scalar>(
        &self,
        x: impl Into<BatchPoints<'a, T>>,
        z: impl Into<BatchPoints<'a, T>>,
        out: &mut BatchMatrix<T>,
    ) -> Result<()>
    where
        M: Member<T>,
    {
        self.evaluate_into(&x.into(), Some(&z.into()), out)
    }

    /// The cross-covariances K_b(X_b, Z_b): B × N × M.
    ///
    /// # Errors
    ///
    /// As [`gram`](Self::gram), and as [`cross_into`].
    pub fn cross<'a, T: Scalar>(
        &self,
        x: impl Into<BatchPoints<'a, T>>,
        z: impl Into<BatchPoints<'a, T>>,
    ) -> Result<BatchMatrix<T>>
    where
        M: Member<T>,
    {
        self.evaluate(&x.into(), Some(&z.into()))
    }

    /// The diagonals of the Gram matrices: B × N × 1.
    ///
    /// # Errors
    ///
    /// As [`gram`](Self::gram).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let batch = Linear::new(1.0).batched(2)?.per_batch("linear.variance", &[1.0, 10.0])?;
    /// let diag = batch.diag(mat![[2.0], [3.0]].as_ref())?;
    /// assert_eq!(diag.as_slice(), [4.0, 9.0, 40.0, 90.0]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn diag<'a, T: Scalar>(&self, x: impl Into<BatchPoints<'a, T>>) -> Result<BatchMatrix<T>>
    where
        M: Member<T>,
    {
        let x = x.into();
        let jobs = self.all_jobs(&x, None)?;
        let mut out = BatchMatrix::zeros(&Evaluated::<T>::sizes(self), jobs[0].x.nrows(), 1);
        fill(&jobs, &mut out, |job, out| diag_into(job.kernel, job.x, out))?;
        Ok(out)
    }

    /// Gradients of Σ_b Σ W_b ∘ K_b(X_b, X_b), for a batch W of cotangents in the shape of the result.
    ///
    /// # Errors
    ///
    /// As [`gram`](Self::gram), [`Error::Shape`] if W does not fit, and as [`gram_vjp`].
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::batch::BatchMatrix;
    /// use mercer::kernel::GradientRequest;
    /// use mercer::prelude::*;
    ///
    /// let batch = (2.0 * Linear::new(1.0)).batched(2)?.per_batch("scaled.linear.variance", &[1.0, 10.0])?;
    /// let mut w = BatchMatrix::zeros(&[2], 1, 1);
    /// w.get_mut(&[0])?[(0, 0)] = 1.0;
    /// w.get_mut(&[1])?[(0, 0)] = 1.0;
    /// let gradients = batch.gram_vjp(mat![[3.0]].as_ref(), &w, GradientRequest::ALL)?;
    /// // The factor is shared: 9 + 90. The variances are not: 18 each.
    /// assert_eq!(gradients.theta, [99.0, 18.0, 18.0]);
    /// assert_eq!(gradients.x.unwrap().shared().unwrap()[(0, 0)], 12.0 + 120.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn gram_vjp<'a, T: Scalar>(
        &self,
        x: impl Into<BatchPoints<'a, T>>,
        cotangent: &BatchMatrix<T>,
        wanted: GradientRequest,
    ) -> Result<BatchGradients<T>>
    where
        M: Member<T>,
    {
        self.differentiate(&x.into(), None, cotangent, wanted)
    }

    /// Gradients of Σ_b Σ W_b ∘ K_b(X_b, Z_b), for a batch W of cotangents in the shape of the result.
    ///
    /// # Errors
    ///
    /// As [`cross`](Self::cross), [`Error::Shape`] if W does not fit, and as [`cross_vjp`].
    pub fn cross_vjp<'a, T: Scalar>(
        &self,
        x: impl Into<BatchPoints<'a, T>>,
        z: impl Into<BatchPoints<'a, T>>,
        cotangent: &BatchMatrix<T>,
        wanted: GradientRequest,
    ) -> Result<BatchGradients<T>>
    where
        M: Member<T>,
    {
        self.differentiate(&x.into(), Some(&z.into()), cotangent, wanted)
    }

    fn evaluate<T: Scalar>(&self, x: &BatchPoints<'_, T>, z: Option<&BatchPoints<'_, T>>) -> Result<BatchMatrix<T>>
    where
        M: Member<T>,
    {
        let jobs = self.all_jobs(x, z)?;
        let (rows, cols) = shape(&jobs[0]);
        let mut out = BatchMatrix::zeros(&Evaluated::<T>::sizes(self), rows, cols);
        fill_matrices(&jobs, &mut out)?;
        Ok(out)
    }

    fn evaluate_into<T: Scalar>(
        &self,
        x: &BatchPoints<'_, T>,
        z: Option<&BatchPoints<'_, T>>,
        out: &mut BatchMatrix<T>,
    ) -> Result<()>
    where
        M: Member<T>,
    {
        let jobs = self.all_jobs(x, z)?;
        let (rows, cols) = shape(&jobs[0]);
        let expected: Vec<usize> = Evaluated::<T>::sizes(self).into_iter().chain([rows, cols]).collect();
        if out.shape() != expected {
            let expected = format!("{expected:?} (found {:?})", out.shape());
            return Err(Error::shape("the output", expected, (out.nrows(), out.ncols())));
        }
        fill_matrices(&jobs, out)
    }

    fn differentiate<T: Scalar>(
        &self,
        x: &BatchPoints<'_, T>,
        z: Option<&BatchPoints<'_, T>>,
        cotangent: &BatchMatrix<T>,
        wanted: GradientRequest,
    ) -> Result<BatchGradients<T>>
    where
        M: Member<T>,
    {
        let jobs = self.all_jobs(x, z)?;
        let sizes = Evaluated::<T>::sizes(self);
        let (rows, cols) = shape(&jobs[0]);
        let expected: Vec<usize> = sizes.iter().copied().chain([rows, cols]).collect();
        if cotangent.shape() != expected {
            let expected = format!("{expected:?} (found {:?})", cotangent.shape());
            return Err(Error::shape("the cotangent", expected, (cotangent.nrows(), cotangent.ncols())));
        }
        let weights: Vec<_> = cotangent.iter().collect();
        let gradients = jobs
            .par_iter()
            .zip(weights)
            .map(|(job, weights)| match job.z {
                None => gram_vjp(job.kernel, job.x, weights, wanted, Par::rayon(0)),
                Some(z) => cross_vjp(job.kernel, job.x, z, weights, wanted, Par::rayon(0)),
            })
            .collect::<Result<Vec<Gradients<T>>>>()?;

        let theta = Evaluated::<T>::gather(self, &mut gradients.iter().map(|gradients| gradients.theta.clone()));
        let (of_x, of_z): (Vec<_>, Vec<_>) = gradients.into_iter().map(|gradients| (gradients.x, gradients.z)).unzip();
        let arrange = |inputs: &BatchPoints<'_, T>, of_members: Vec<Option<faer::Mat<T>>>| {
            let of_members: Vec<_> = of_members.into_iter().flatten().collect();
            InputGradients::arrange(inputs, &sizes, &mut of_members.into_iter())
        };
        Ok(BatchGradients {
            theta,
            x: wanted.x.then(|| arrange(x, of_x)),
            z: z.filter(|_| wanted.z).map(|z| arrange(z, of_z)),
        })
    }

    /// The evaluations of all kernels; at least one, all of the same shape.
    fn all_jobs<'a, T: Scalar>(
        &'a self,
        x: &BatchPoints<'a, T>,
        z: Option<&BatchPoints<'a, T>>,
    ) -> Result<Vec<Job<'a, T>>>
    where
        M: Member<T>,
    {
        let mut jobs = Vec::new();
        Evaluated::<T>::jobs(self, x, z, &mut jobs)?;
        let (rows, cols) = shape(&jobs[0]);
        for (member, job) in jobs.iter().enumerate() {
            let found = shape(job);
            for (what, found, expected) in [("x", found.0, rows), ("z", found.1, cols)] {
                if found != expected {
                    let expected = format!("{expected} point(s), as the first has; pad with NaN and mask the kernel");
                    return Err(Error::shape(&format!("{what} of member {member}"), expected, (found, job.x.ncols())));
                }
            }
        }
        Ok(jobs)
    }
}

fn shape<T: Scalar>(job: &Job<'_, T>) -> (usize, usize) {
    (job.x.nrows(), job.z.unwrap_or(job.x).nrows())
}

/// Evaluates the matrices of all jobs, each thread in a workspace of its own.
fn fill_matrices<T: Scalar>(jobs: &[Job<'_, T>], out: &mut BatchMatrix<T>) -> Result<()> {
    let (rows, cols) = (out.nrows(), out.ncols());
    let size = (rows * cols).max(1);
    let bytes = size * jobs.len() * size_of::<T>();
    jobs.par_iter().zip(out.data_mut().par_chunks_mut(size)).try_for_each_init(
        || Workspace::of_many(bytes),
        |workspace, (job, out)| {
            let out = MatMut::from_column_major_slice_mut(out, rows, cols);
            match job.z {
                // Matrices that are worth several threads are few.
                None if rows >= PARALLEL => gram_into(job.kernel, job.x, out, Par::rayon(0)),
                Some(z) if rows >= PARALLEL => cross_into(job.kernel, job.x, z, out, Par::rayon(0)),
                None => gram_into_with(job.kernel, job.x, out, workspace),
                Some(z) => cross_into_with(job.kernel, job.x, z, out, workspace),
            }
        },
    )
}

/// Runs every evaluation on its part of the output.
fn fill<T: Scalar>(
    jobs: &[Job<'_, T>],
    out: &mut BatchMatrix<T>,
    evaluate: impl Fn(&Job<'_, T>, &mut [T]) -> Result<()> + Sync,
) -> Result<()> {
    let size = (out.nrows() * out.ncols()).max(1);
    jobs.par_iter().zip(out.data_mut().par_chunks_mut(size)).try_for_each(|(job, out)| evaluate(job, out))
}
