//! The features made from points, and the gradients of both.

use std::sync::Arc;

use faer::{Mat, MatRef};

use super::points::{Memory, Points};
use super::present::Present;
use super::span::{Ranges, Span};
use crate::Scalar;
use crate::simd::sum::dot_of_gradient;

/// The features of a set of points, in a tree: a leaf of the expression has points, a combinator has
/// the features of its children, and a map of the inputs has both.
#[derive(Clone, Debug)]
pub struct Features<'a, T: Scalar> {
    points: Option<Points<'a, T>>,
    slot: usize,
    children: Vec<Features<'a, T>>,
    /// Which points the children have features of, if not of all.
    present: Option<Arc<Present>>,
    /// Whether pairs are differenced before anything is made of them.
    differenced: bool,
}

impl<'a, T: Scalar> Features<'a, T> {
    /// The features of a leaf.
    pub fn leaf(points: Points<'a, T>) -> Self {
        Self::node(Some(points), Vec::new())
    }

    /// The features of a combinator: those of its children, in order.
    pub fn branch(children: Vec<Self>) -> Self {
        Self::node(None, children)
    }

    /// The features of a map of the inputs: the points that it made, and what its child made of them.
    pub fn mapped(points: Points<'a, T>, child: Self) -> Self {
        Self::node(Some(points), vec![child])
    }

    fn node(points: Option<Points<'a, T>>, children: Vec<Self>) -> Self {
        Self { points, slot: usize::MAX, children, present: None, differenced: false }
    }

    /// The features of a node that takes differences of the points as they are: see
    /// [`differences`](crate::warp::differences).
    pub(crate) fn differenced(points: Points<'a, T>) -> Self {
        Self { differenced: true, ..Self::leaf(points) }
    }

    /// Whether the node takes differences of the points as they are.
    #[inline]
    pub(crate) fn is_differenced(&self) -> bool {
        self.differenced
    }

    /// The same features, where the children know only some of the points.
    pub(crate) fn with_present(mut self, present: Arc<Present>) -> Self {
        self.present = Some(present);
        self
    }

    /// Which points the children have features of, if not of all.
    #[inline]
    pub(crate) fn present(&self) -> Option<&Present> {
        self.present.as_deref()
    }

    /// The points at this node.
    ///
    /// # Panics
    ///
    /// If this node was made without points: a mistake in the kernel's `embed`, not in data.
    #[inline]
    #[track_caller]
    pub fn points(&self) -> &Points<'a, T> {
        match &self.points {
            Some(points) => points,
            None => unreachable!("this kernel's `embed` gave a branch where its `tile` expects points"),
        }
    }

    /// The features of a child.
    ///
    /// # Panics
    ///
    /// If there is no such child: a mistake in the kernel's `embed`, not in data.
    #[inline]
    #[track_caller]
    pub fn child(&self, index: usize) -> &Self {
        &self.children[index]
    }

    /// The slot of the points at this node: the same number for the same memory.
    #[inline]
    pub(crate) fn slot(&self) -> usize {
        self.slot
    }

    pub(crate) fn children(&self) -> &[Self] {
        &self.children
    }

    fn each_mut(&mut self, see: &mut impl FnMut(&Points<'a, T>, &mut usize)) {
        if let Some(points) = &self.points {
            see(points, &mut self.slot);
        }
        self.children.iter_mut().for_each(|child| child.each_mut(see));
    }
}

/// What a driver keeps of one embedded set of points: the features, with a slot number for each
/// distinct piece of memory.
#[derive(Debug)]
pub(crate) struct Embedding<'a, T: Scalar> {
    pub(crate) input: Points<'a, T>,
    pub(crate) features: Features<'a, T>,
    /// The distinct pieces of memory beside the input.
    others: Vec<Points<'a, T>>,
}

impl<'a, T: Scalar> Embedding<'a, T> {
    /// Embeds a set of points of a matrix whose second set has these ranges.
    pub(crate) fn new(
        kernel: &dyn super::Kernel<T>,
        points: MatRef<'a, T>,
        ranges: &'a Ranges<'a, T>,
        gradient: bool,
    ) -> Self {
        Self::of(kernel, Points::new(points).with_gradient(gradient).against(Some(Span::Driver(ranges))))
    }

    /// Slot 0 is always the input itself, whether a leaf reads it or not.
    fn of(kernel: &dyn super::Kernel<T>, input: Points<'a, T>) -> Self {
        let mut features = kernel.embed(&input);
        let mut others: Vec<Points<'a, T>> = Vec::new();
        features.each_mut(&mut |points, slot| {
            if points.is_same_memory(&input) {
                *slot = 0;
                return;
            }
            let found = others.iter().position(|known| known.is_same_memory(points));
            *slot = 1 + found.unwrap_or(others.len());
            if found.is_none() {
                others.push(points.clone());
            }
        });
        Self { input, features, others }
    }

    /// The number of slots.
    pub(super) fn slots(&self) -> usize {
        1 + self.others.len()
    }

    /// The points of a slot: the input, or what the kernel made of it.
    pub(super) fn slot(&self, slot: usize) -> &Points<'a, T> {
        if slot == 0 { &self.input } else { &self.others[slot - 1] }
    }

    /// The embedding that these features, or the part of a tree that they are, came from; `None`
    /// without points. Slots that the part does not read are stood in for by others, without gradient.
    pub(super) fn again(features: &Features<'a, T>, gradients: &FeatureGradients<T>) -> Option<Self> {
        let mut features = features.clone();
        let mut found: Vec<Option<Points<'a, T>>> = vec![None; gradients.by_slot.len()];
        features.each_mut(&mut |points, slot| {
            if let Some(place) = found.get_mut(*slot) {
                *place = Some(points.clone());
            }
        });
        let input = found.iter().flatten().next()?.clone();
        let mut slots = found.into_iter().map(|points| points.unwrap_or_else(|| input.clone().with_gradient(false)));
        let first = slots.next()?;
        Some(Self { others: slots.collect(), input: first, features })
    }

    /// Room for the gradients of the slots that need one.
    pub(crate) fn gradients(&self) -> FeatureGradients<T> {
        let room = |points: &Points<'a, T>| Gradient {
            memory: points.memory(),
            whole: (points.needs_whole && !points.has_moments()).then(|| Mat::zeros(points.len(), points.dim())),
            by_pairs: (points.needs_whole && points.has_moments()).then(|| Mat::zeros(points.len(), points.dim())),
            moments: points.has_moments().then(|| vec![0.0; points.dim()]),
        };
        FeatureGradients { by_slot: (0..self.slots()).map(|slot| room(self.slot(slot))).collect() }
    }
}

/// The gradients of a loss in the features of one set of points, kept by the memory that the points
/// are stored in.
#[derive(Clone, Debug)]
pub struct FeatureGradients<T: Scalar> {
    by_slot: Vec<Gradient<T>>,
}

#[derive(Clone, Debug)]
struct Gradient<T: Scalar> {
    memory: Memory,
    /// The gradient, but for what is `by_pairs`.
    whole: Option<Mat<T>>,
    /// That part whose moments have been summed, where more than moments is wanted.
    by_pairs: Option<Mat<T>>,
    /// Moments that are summed pair by pair, where they are wanted: the sum over points has no digits far from the origin.
    moments: Option<Vec<f64>>,
}

impl<T: Scalar> Gradient<T> {
    fn whole_mut(&mut self) -> Option<&mut Mat<T>> {
        if self.whole.is_none() && self.moments.is_some() {
            self.whole = Some(Mat::zeros(self.memory.shape.0, self.memory.shape.1));
        }
        self.whole.as_mut()
    }
}

impl<T: Scalar> FeatureGradients<T> {
    /// The gradient in these points, one row a point, to add to; `None` if nobody wants it.
    pub fn at_mut(&mut self, points: &Points<'_, T>) -> Option<&mut Mat<T>> {
        self.of(points)?.whole_mut()
    }

    /// Takes the gradient in these points out, leaving zero: for the map that made them.
    pub fn take(&mut self, points: &Points<'_, T>) -> Option<Mat<T>> {
        let Gradient { whole, by_pairs, .. } = self.of(points)?;
        match (whole.take(), by_pairs.take()) {
            (Some(whole), Some(by_pairs)) => Some(whole + by_pairs),
            (whole, by_pairs) => whole.or(by_pairs),
        }
    }

    /// Σᵢ xᵢ_d Gᵢ_d for the gradient G in these points and each dimension d; `None` if nobody wants it.
    pub(crate) fn moments(&mut self, points: &Points<'_, T>) -> Option<Vec<f64>> {
        let gradient = self.of(points)?;
        if gradient.whole.is_none() && gradient.moments.is_none() {
            return None;
        }
        let mut moments = gradient.moments.clone().unwrap_or_else(|| vec![0.0; points.dim()]);
        if let (Some(whole), None) = (&gradient.whole, points.weights()) {
            for (dim, moment) in moments.iter_mut().enumerate() {
                *moment += dot_of_gradient(whole.col_as_slice(dim), points.column(dim));
            }
        }
        Some(moments)
    }

    fn of(&mut self, points: &Points<'_, T>) -> Option<&mut Gradient<T>> {
        let memory = points.memory();
        self.by_slot.iter_mut().find(|gradient| gradient.memory == memory)
    }

    pub(crate) fn slot_mut(&mut self, slot: usize) -> Option<&mut Mat<T>> {
        self.by_slot.get_mut(slot)?.whole_mut()
    }

    /// Whether more of the gradient of a slot is wanted than moments that are summed pair by pair.
    pub(super) fn wants_points(&self, slot: usize) -> bool {
        self.by_slot.get(slot).is_some_and(|gradient| gradient.whole.is_some() || gradient.by_pairs.is_some())
    }

    /// Whether moments of a slot are summed pair by pair.
    pub(super) fn has_moments(&self, slot: usize) -> bool {
        self.by_slot.get(slot).is_some_and(|gradient| gradient.moments.is_some())
    }

    /// The gradient of a slot whose moments are summed pair by pair, if more of it is wanted than these.
    pub(super) fn by_pairs_mut(&mut self, slot: usize) -> Option<&mut Mat<T>> {
        self.by_slot.get_mut(slot)?.by_pairs.as_mut()
    }

    /// Where to add moments of a slot's gradient, if they are summed pair by pair.
    pub(super) fn moments_mut(&mut self, slot: usize) -> Option<&mut Vec<f64>> {
        self.by_slot.get_mut(slot)?.moments.as_mut()
    }

    /// Adds the gradients of another part of the same matrix.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.by_slot.iter_mut().zip(&other.by_slot) {
            if let (Some(mine), Some(theirs)) = (&mut mine.moments, &theirs.moments) {
                mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
            }
            if let Some(theirs) = &theirs.whole
                && let Some(mine) = mine.whole_mut()
            {
                *mine += theirs;
            }
            if let (Some(mine), Some(theirs)) = (&mut mine.by_pairs, &theirs.by_pairs) {
                *mine += theirs;
            }
        }
    }
}
