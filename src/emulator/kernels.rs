//! A kernel for each component.

use faer::MatRef;

use crate::algebra::Compose;
use crate::kernels::Rbf;
use crate::params::{Label, Parameterized, Visitor, VisitorMut};
use crate::{DynKernel, Result};

/// The kernels of the weights, in the order of the components; in paths, `kernel[i].…`.
#[derive(Clone, Debug)]
pub(super) struct Kernels<K>(pub(super) Vec<K>);

/// The variance of each weight before it is fitted: wide enough that the data decide.
const VARIANCE: f64 = 1e4;

/// Lengthscales before they are fitted, in units of the largest gap between neighbouring values.
const GAPS: f64 = 3.0;

impl Kernels<DynKernel> {
    /// What is fitted if nothing else is asked for: see [`Emulator::new`](super::Emulator::new).
    pub(super) fn start(theta: MatRef<'_, f64>, components: usize) -> Result<Self> {
        let lengthscales: Vec<f64> = theta.col_iter().map(|column| GAPS * largest_gap(column.iter())).collect();
        let kernel = (VARIANCE * Rbf::try_new(lengthscales)?).dynamic();
        Ok(Self(vec![kernel; components]))
    }
}

/// The largest distance between neighbours among different values; 1 if there is only one value.
fn largest_gap<'a>(values: impl Iterator<Item = &'a f64>) -> f64 {
    let mut sorted: Vec<f64> = values.copied().collect();
    sorted.sort_by(f64::total_cmp);
    let largest = sorted.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
    if largest > 0.0 { largest } else { 1.0 }
}

impl<K: Parameterized> Parameterized for Kernels<K> {
    fn name(&self) -> &str {
        ""
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        self.0.iter().enumerate().for_each(|(i, kernel)| visitor.child(Label::Index(i), kernel));
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        self.0.iter_mut().enumerate().for_each(|(i, kernel)| visitor.child(Label::Index(i), kernel));
    }
}
