//! Some points, side by side, through the levels of harmonics and back.

use std::f64::consts::{PI, TAU};

use faer::MatRef;

use super::level::{Lanes, Level, WIDTH, mul_add, times};
use crate::Scalar;
use crate::simd::Pass;

/// What the powers of the sine are multiplied by, and the polynomials divided: 2⁸³⁰ ≈ 10²⁵⁰, so that neither
/// leaves the range where their product is not negligible.
const SCALE: f64 = f64::from_bits((1023 + 830) << 52);

/// The tables for [`WIDTH`] points.
#[derive(Debug)]
pub(super) struct Block<'a> {
    levels: &'a [Level],
    /// The coordinates of the directions.
    direction: Vec<Lanes>,
    /// The lengths of the points.
    length: Lanes,
    /// x₁² + … + x_k² of the directions, by k.
    squared: Vec<Lanes>,
    /// Real and imaginary parts of (x₁ + i x₂)^m, scaled.
    powers: Vec<[Lanes; 2]>,
    /// For each level, from the circle up, the harmonics.
    tables: Vec<Vec<Lanes>>,
    /// Their cotangents.
    cotangents: Vec<Vec<Lanes>>,
    /// For each level, from three dimensions up, the polar factors.
    polars: Vec<Vec<Lanes>>,
    /// The cotangents of a level's polar factors.
    in_polar: Vec<Lanes>,
    gradient: Vec<Lanes>,
}

impl<'a> Block<'a> {
    /// Room for these levels, above the functions on the circle up to an order.
    pub(super) fn new(dim: usize, order: usize, levels: &'a [Level]) -> Self {
        let zero = [0.0; WIDTH];
        let lens = std::iter::once(2 * order + 1).chain(levels.iter().map(|level| level.terms.len()));
        let tables: Vec<_> = lens.map(|len| vec![zero; len]).collect();
        let widest = levels.iter().map(Level::polar_len).max().unwrap_or(0);
        Self {
            levels,
            direction: vec![zero; dim],
            length: [1.0; WIDTH],
            squared: vec![zero; dim + 1],
            powers: vec![[zero; 2]; order + 1],
            cotangents: tables.clone(),
            tables,
            polars: levels.iter().map(|level| vec![zero; level.polar_len()]).collect(),
            in_polar: vec![zero; widest],
            gradient: vec![zero; dim],
        }
    }

    /// Takes the directions of at most [`WIDTH`] points, none of them zero, and sets the cotangents to 0.
    pub(super) fn load<T: Scalar>(&mut self, x: MatRef<'_, T>) {
        for lane in 0..WIDTH {
            // Lanes beyond the end have the direction of the first axis.
            let coordinate = |dim: usize| match lane < x.nrows() {
                true => x[(lane, dim)].as_f64(),
                false => f64::from(u8::from(dim == 0)),
            };
            // By way of the largest coordinate, so that no square overflows or vanishes.
            let largest = (0..self.direction.len()).map(|dim| coordinate(dim).abs()).fold(0.0, f64::max);
            let norm = (0..self.direction.len()).map(|dim| (coordinate(dim) / largest).powi(2)).sum::<f64>().sqrt();
            self.length[lane] = largest * norm;
            for (dim, direction) in self.direction.iter_mut().enumerate() {
                direction[lane] = coordinate(dim) / largest / norm;
                self.squared[dim + 1][lane] = self.squared[dim][lane] + direction[lane] * direction[lane];
            }
        }
        self.cotangents.iter_mut().for_each(|table| table.fill([0.0; WIDTH]));
    }

    /// The harmonics, after [`Forward`].
    pub(super) fn values(&self) -> &[Lanes] {
        self.tables.last().map_or(&[], Vec::as_slice)
    }

    /// The cotangents of the harmonics, for [`Backward`].
    pub(super) fn cotangents(&mut self) -> &mut [Lanes] {
        self.cotangents.last_mut().map_or(&mut [], Vec::as_mut_slice)
    }

    /// The gradient in each coordinate of the points, after [`Backward`].
    pub(super) fn gradient(&self) -> &[Lanes] {
        &self.gradient
    }

    /// The norm of the functions of an order on the circle, with their phase.
    fn circle_norm(&self, order: usize) -> f64 {
        let negative = self.direction.len() == 3 && order % 2 == 1;
        let norm = if order == 0 { 1.0 / TAU.sqrt() } else { 1.0 / PI.sqrt() };
        if negative { -norm } else { norm }
    }

    #[inline(always)]
    fn forward<const FMA: bool>(&mut self) {
        let (x, y) = (self.direction[0], self.direction[1]);
        let scale = if self.levels.is_empty() { 1.0 } else { SCALE };
        self.powers[0] = [[scale; WIDTH], [0.0; WIDTH]];
        self.tables[0][0] = [scale * self.circle_norm(0); WIDTH];
        for order in 1..self.powers.len() {
            let [re, im] = self.powers[order - 1];
            self.powers[order] = [mul_add::<FMA>(re, x, times(im, y.map(|y| -y))), mul_add::<FMA>(re, y, times(im, x))];
            let norm = self.circle_norm(order);
            self.tables[0][2 * order - 1] = self.powers[order][1].map(|im| norm * im);
            self.tables[0][2 * order] = self.powers[order][0].map(|re| norm * re);
        }
        for (index, level) in self.levels.iter().enumerate() {
            let (lower, upper) = self.tables.split_at_mut(index + 1);
            let top = index + 1 == self.levels.len();
            // On the sphere itself, ρ = 1.
            let (squared, scale) = if top { ([1.0; WIDTH], 1.0 / SCALE) } else { (self.squared[index + 3], 1.0) };
            level.polar_factors::<FMA>(self.direction[index + 2], squared, scale, &mut self.polars[index]);
            level.values(&self.polars[index], &lower[index], &mut upper[0]);
        }
    }

    #[inline(always)]
    fn backward<const FMA: bool>(&mut self) {
        self.forward::<FMA>();
        self.gradient.fill([0.0; WIDTH]);
        for (index, level) in self.levels.iter().enumerate().rev() {
            let (lower, upper) = self.cotangents.split_at_mut(index + 1);
            let in_polar = &mut self.in_polar[..level.polar_len()];
            let (in_x, in_squared) =
                level.backward::<FMA>(&self.polars[index], &self.tables[index], &upper[0], in_polar, &mut lower[index]);
            self.gradient[index + 2] = mul_add::<FMA>([1.0; WIDTH], in_x, self.gradient[index + 2]);
            if index + 1 < self.levels.len() {
                for (gradient, x) in self.gradient.iter_mut().zip(&self.direction).take(index + 3) {
                    *gradient = mul_add::<FMA>(in_squared, x.map(|x| 2.0 * x), *gradient);
                }
            }
        }
        // (d/dx) zᵐ = m zᵐ⁻¹ and (d/dy) zᵐ = i m zᵐ⁻¹, z = x + i y.
        for order in 1..self.powers.len() {
            let slope = order as f64 * self.circle_norm(order);
            let [re, im] = self.powers[order - 1].map(|part| part.map(|part| slope * part));
            let [in_im, in_re] = [self.cotangents[0][2 * order - 1], self.cotangents[0][2 * order]];
            self.gradient[0] = mul_add::<FMA>(in_re, re, mul_add::<FMA>(in_im, im, self.gradient[0]));
            let turned = im.map(|im| -im);
            self.gradient[1] = mul_add::<FMA>(in_re, turned, mul_add::<FMA>(in_im, re, self.gradient[1]));
        }
        self.project::<FMA>();
    }

    /// From the gradient in the directions to that in the points: its part orthogonal to the direction, divided
    /// by the length.
    #[inline(always)]
    fn project<const FMA: bool>(&mut self) {
        let mut radial = [0.0; WIDTH];
        for (&gradient, &x) in self.gradient.iter().zip(&self.direction) {
            radial = mul_add::<FMA>(gradient, x, radial);
        }
        for (gradient, x) in self.gradient.iter_mut().zip(&self.direction) {
            for lane in 0..WIDTH {
                gradient[lane] = (gradient[lane] - radial[lane] * x[lane]) / self.length[lane];
            }
        }
    }
}

/// The harmonics of the loaded points.
pub(super) struct Forward<'b, 'a>(pub(super) &'b mut Block<'a>);

impl Pass for Forward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        self.0.forward::<FMA>();
    }
}

/// The gradient in the loaded points, from the cotangents.
pub(super) struct Backward<'b, 'a>(pub(super) &'b mut Block<'a>);

impl Pass for Backward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        self.0.backward::<FMA>();
    }
}
