//! Steps of the filter and of its reverse, for matrices of a width that is known when this is compiled.
//!
//! Forward, from the state given what was seen before, N(m, P): m ← A m, X = A P, P ← X Aᵀ + Q, and with an observation y of the
//! first state and noise of variance r
//!
//! S = P₀₀ + r, v = y − m₀, k = P e₀/S, m ← m + k v, P_ab ← P_ab − k_a P_b0, but P e₀ ← r k, which subtracts nothing.
//!
//! Backward, the derivatives ρ and N of the log density in the state, as its value and minus twice its curvature: with
//! u = v/S − kᵀρ and D = 1/S + kᵀN k, the derivative in y is −u, that in r is ½ (u² − D), and with ℓ = e₀ − k, whose first entry
//! is r/S without a subtraction, ρ₀ ← ℓᵀρ + v/S, N_0b ← (Nℓ)_b, N₀₀ ← ℓᵀN ℓ + 1/S, so that N keeps its digits where noise is small
//! and N large. With W = ρρᵀ − N the derivative in A is ρ mᵀ + W X, and that in Q is ½ W;
//! then ρ ← Aᵀρ, N ← AᵀN A.

use super::system::{Pattern, lower};
use crate::Scalar;
use crate::kernel::Column;

/// The rows of a square matrix, of which the first are in use.
pub(super) type Rows<const W: usize> = [[f64; W]; W];

/// A state: its mean and covariance, or the derivatives in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct State<const W: usize> {
    pub(super) m: [f64; W],
    pub(super) p: Rows<W>,
}

impl<const W: usize> State<W> {
    pub(super) fn zero() -> Self {
        Self { m: [0.0; W], p: [[0.0; W]; W] }
    }

    /// Of mean 0 and this covariance, a lower triangle.
    pub(super) fn of(covariance: &[f64], states: usize) -> Self {
        let mut state = Self::zero();
        for (row, col) in (0..states).flat_map(|row| (0..states).map(move |col| (row, col))) {
            state.p[row][col] = covariance[lower(row, col)];
        }
        state
    }

    /// What rounding has left of symmetry would grow, because an observation does not act on it.
    pub(super) fn symmetrise(&mut self) {
        for row in 0..W {
            for col in 0..row {
                let middle = 0.5 * (self.p[row][col] + self.p[col][row]);
                (self.p[row][col], self.p[col][row]) = (middle, middle);
            }
        }
    }
}

/// What the reverse of a step reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<const W: usize> {
    pub(super) k: [f64; W],
    /// The mean given what was seen.
    pub(super) m: [f64; W],
    /// A P
    pub(super) x: Rows<W>,
    /// r/S
    pub(super) left: f64,
    /// 1/S, or 0 where nothing was observed.
    pub(super) inverse: f64,
    /// v/S
    pub(super) scaled: f64,
}

impl<const W: usize> Record<W> {
    pub(super) fn zero() -> Self {
        Self { k: [0.0; W], m: [0.0; W], x: [[0.0; W]; W], left: 1.0, inverse: 0.0, scaled: 0.0 }
    }
}

/// Products with A.
pub(super) trait Layout<const W: usize> {
    /// How many rows are in use.
    fn rows(&self) -> usize;

    /// out += A `of`, for the A of a step.
    fn add_times<const FMA: bool>(&self, a: &[Column], step: usize, of: &Rows<W>, out: &mut Rows<W>);

    /// out += Aᵀ `of`
    fn add_transposed_times<const FMA: bool>(&self, a: &[Column], step: usize, of: &Rows<W>, out: &mut Rows<W>);

    /// A x
    fn times_vector<const FMA: bool>(&self, a: &[Column], step: usize, x: &[f64; W]) -> [f64; W];

    /// Aᵀ x
    fn transposed_times_vector<const FMA: bool>(&self, a: &[Column], step: usize, x: &[f64; W]) -> [f64; W];

    /// out = X Aᵀ + Q, symmetric, for X = A P.
    #[inline(always)]
    fn covariance<const FMA: bool>(&self, [a, q]: [&[Column]; 2], step: usize, x: &Rows<W>, out: &mut Rows<W>) {
        whole::<Self, W, FMA>(self, [a, q], step, x, out);
    }

    /// Adds Q.
    fn add_noise(&self, q: &[Column], step: usize, out: &mut Rows<W>);

    /// Writes the entries of A that may be other than 0 to their places.
    fn scatter(&self, of: &Rows<W>, step: usize, a: &mut [Column]);
}

/// All W rows, all entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dense;

impl<const W: usize> Layout<W> for Dense {
    #[inline(always)]
    fn rows(&self) -> usize {
        W
    }

    #[inline(always)]
    fn add_times<const FMA: bool>(&self, a: &[Column], step: usize, of: &Rows<W>, out: &mut Rows<W>) {
        add_dense::<W, FMA, false>(a, step, of, out);
    }

    #[inline(always)]
    fn add_transposed_times<const FMA: bool>(&self, a: &[Column], step: usize, of: &Rows<W>, out: &mut Rows<W>) {
        add_dense::<W, FMA, true>(a, step, of, out);
    }

    #[inline(always)]
    fn times_vector<const FMA: bool>(&self, a: &[Column], step: usize, x: &[f64; W]) -> [f64; W] {
        dense_vector::<W, FMA, false>(a, step, x)
    }

    #[inline(always)]
    fn transposed_times_vector<const FMA: bool>(&self, a: &[Column], step: usize, x: &[f64; W]) -> [f64; W] {
        dense_vector::<W, FMA, true>(a, step, x)
    }

    // Of few numbers, half is less work than the whole in registers.
    #[inline(always)]
    fn covariance<const FMA: bool>(&self, [a, q]: [&[Column]; 2], step: usize, x: &Rows<W>, out: &mut Rows<W>) {
        if W > 2 {
            return whole::<Self, W, FMA>(self, [a, q], step, x, out);
        }
        for row in 0..W {
            for col in 0..=row {
                let mut sum = q[lower(row, col)][step];
                for k in 0..W {
                    sum = x[row][k].lane_mul_add::<FMA>(a[col * W + k][step], sum);
                }
                (out[row][col], out[col][row]) = (sum, sum);
            }
        }
    }

    #[inline(always)]
    fn add_noise(&self, q: &[Column], step: usize, out: &mut Rows<W>) {
        for row in 0..W {
            for col in 0..W {
                out[row][col] += q[lower(row, col)][step];
            }
        }
    }

    #[inline(always)]
    fn scatter(&self, of: &Rows<W>, step: usize, a: &mut [Column]) {
        for row in 0..W {
            for col in 0..W {
                a[row * W + col][step] = of[row][col];
            }
        }
    }
}

/// The place of an entry of A, or of its transpose.
#[inline(always)]
fn entry<const W: usize, const TRANSPOSED: bool>(row: usize, col: usize) -> usize {
    if TRANSPOSED { col * W + row } else { row * W + col }
}

#[inline(always)]
fn add_dense<const W: usize, const FMA: bool, const TRANSPOSED: bool>(
    a: &[Column],
    step: usize,
    of: &Rows<W>,
    out: &mut Rows<W>,
) {
    for row in 0..W {
        let mut sum = out[row];
        for k in 0..W {
            axpy::<W, FMA>(a[entry::<W, TRANSPOSED>(row, k)][step], &of[k], &mut sum);
        }
        out[row] = sum;
    }
}

#[inline(always)]
fn dense_vector<const W: usize, const FMA: bool, const TRANSPOSED: bool>(
    a: &[Column],
    step: usize,
    x: &[f64; W],
) -> [f64; W] {
    let mut out = [0.0; W];
    for row in 0..W {
        for k in 0..W {
            out[row] = a[entry::<W, TRANSPOSED>(row, k)][step].lane_mul_add::<FMA>(x[k], out[row]);
        }
    }
    out
}

/// A pattern of entries.
#[derive(Clone, Debug)]
pub(super) struct Sparse {
    rows: Lists,
    cols: Lists,
    /// The entries of Q that may be other than 0: place, row and column.
    noise: Vec<[usize; 3]>,
}

/// For each row, or each column, the entries: their places, and the columns, or rows.
#[derive(Clone, Debug)]
struct Lists {
    starts: Vec<usize>,
    entries: Vec<[usize; 2]>,
}

impl Lists {
    fn new(lists: impl Iterator<Item = Vec<[usize; 2]>>) -> Self {
        let (mut starts, mut entries) = (vec![0], Vec::new());
        for list in lists {
            entries.extend(list);
            starts.push(entries.len());
        }
        Self { starts, entries }
    }

    #[inline(always)]
    fn of(&self, index: usize) -> &[[usize; 2]] {
        &self.entries[self.starts[index]..self.starts[index + 1]]
    }

    #[inline(always)]
    fn combine<const W: usize, const FMA: bool>(&self, a: &[Column], step: usize, of: &Rows<W>, out: &mut Rows<W>) {
        for index in 0..self.starts.len() - 1 {
            let mut sum = out[index];
            for &[place, other] in self.of(index) {
                axpy::<W, FMA>(a[place][step], &of[other % W], &mut sum);
            }
            out[index] = sum;
        }
    }

    #[inline(always)]
    fn vector<const W: usize, const FMA: bool>(&self, a: &[Column], step: usize, x: &[f64; W]) -> [f64; W] {
        let mut out = [0.0; W];
        for index in 0..self.starts.len() - 1 {
            let mut sum = 0.0;
            for &[place, other] in self.of(index) {
                sum = a[place][step].lane_mul_add::<FMA>(x[other % W], sum);
            }
            out[index] = sum;
        }
        out
    }
}

impl Sparse {
    pub(super) fn new(pattern: &Pattern) -> Self {
        let states = pattern.rows.len();
        let place = |row: usize, col: usize| {
            let within = pattern.rows[row].iter().position(|&of| of == col)?;
            Some(pattern.places[row] + within)
        };
        let all = || 0..states;
        let row = |row| all().filter_map(|col| Some([place(row, col)?, col])).collect();
        let col = |col| all().filter_map(|row| Some([place(row, col)?, row])).collect();
        // Q is not 0 where A is that of one term, and in the first row and column.
        let noise = all().flat_map(|row| (0..=row).map(move |col| (row, col)));
        let noise = noise.filter(|&(row, col)| col == 0 || place(row, col).is_some());
        let noise = noise.map(|(row, col)| [lower(row, col), row, col]).collect();
        Self { rows: Lists::new(all().map(row)), cols: Lists::new(all().map(col)), noise }
    }
}

impl<const W: usize> Layout<W> for Sparse {
    #[inline(always)]
    fn rows(&self) -> usize {
        self.rows.starts.len() - 1
    }

    #[inline(always)]
    fn add_times<const FMA: bool>(&self, a: &[Column], step: usize, of: &Rows<W>, out: &mut Rows<W>) {
        self.rows.combine::<W, FMA>(a, step, of, out);
    }

    #[inline(always)]
    fn add_transposed_times<const FMA: bool>(&self, a: &[Column], step: usize, of: &Rows<W>, out: &mut Rows<W>) {
        self.cols.combine::<W, FMA>(a, step, of, out);
    }

    #[inline(always)]
    fn times_vector<const FMA: bool>(&self, a: &[Column], step: usize, x: &[f64; W]) -> [f64; W] {
        self.rows.vector::<W, FMA>(a, step, x)
    }

    #[inline(always)]
    fn transposed_times_vector<const FMA: bool>(&self, a: &[Column], step: usize, x: &[f64; W]) -> [f64; W] {
        self.cols.vector::<W, FMA>(a, step, x)
    }

    #[inline(always)]
    fn add_noise(&self, q: &[Column], step: usize, out: &mut Rows<W>) {
        for &[place, row, col] in &self.noise {
            let value = q[place][step];
            out[row][col] += value;
            if row != col {
                out[col][row] += value;
            }
        }
    }

    #[inline(always)]
    fn scatter(&self, of: &Rows<W>, step: usize, a: &mut [Column]) {
        for (row, of) in of.iter().enumerate().take(self.rows.starts.len() - 1) {
            for &[place, col] in self.rows.of(row) {
                a[place][step] = of[col % W];
            }
        }
    }
}

/// out += scale · x
#[inline(always)]
pub(super) fn axpy<const W: usize, const FMA: bool>(scale: f64, x: &[f64; W], out: &mut [f64; W]) {
    for w in 0..W {
        out[w] = scale.lane_mul_add::<FMA>(x[w], out[w]);
    }
}

#[inline(always)]
pub(super) fn dot<const W: usize, const FMA: bool>(x: &[f64; W], y: &[f64; W]) -> f64 {
    let mut lanes = [0.0; 4];
    for w in 0..W {
        lanes[w % 4] = x[w].lane_mul_add::<FMA>(y[w], lanes[w % 4]);
    }
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
}

/// M x, for a symmetric M with so many rows in use.
#[inline(always)]
pub(super) fn times<const W: usize, const FMA: bool>(of: &Rows<W>, x: &[f64; W], rows: usize) -> [f64; W] {
    let mut out = [0.0; W];
    for row in 0..rows {
        out[row] = dot::<W, FMA>(&of[row], x);
    }
    out
}

/// A Xᵀ + Q
#[inline(always)]
fn whole<L: Layout<W> + ?Sized, const W: usize, const FMA: bool>(
    layout: &L,
    [a, q]: [&[Column]; 2],
    step: usize,
    x: &Rows<W>,
    out: &mut Rows<W>,
) {
    let across = transposed(x, layout.rows());
    *out = [[0.0; W]; W];
    layout.add_noise(q, step, out);
    layout.add_times::<FMA>(a, step, &across, out);
}

#[inline(always)]
fn transposed<const W: usize>(of: &Rows<W>, rows: usize) -> Rows<W> {
    let mut out = [[0.0; W]; W];
    for row in 0..rows {
        for col in 0..rows {
            out[col][row] = of[row][col];
        }
    }
    out
}

/// The state after a step; X goes to `x`.
#[inline(always)]
pub(super) fn predict<L: Layout<W>, const W: usize, const FMA: bool>(
    layout: &L,
    [a, q]: [&[Column]; 2],
    step: usize,
    state: &mut State<W>,
    x: &mut Rows<W>,
) {
    *x = [[0.0; W]; W];
    layout.add_times::<FMA>(a, step, &state.p, x);
    state.m = layout.times_vector::<FMA>(a, step, &state.m);
    layout.covariance::<FMA>([a, q], step, x, &mut state.p);
}

/// The state given an observation: S, 1/S, v and k.
#[inline(always)]
pub(super) fn update<L: Layout<W>, const W: usize, const FMA: bool>(
    layout: &L,
    state: &mut State<W>,
    y: f64,
    noise: f64,
) -> ([f64; 3], [f64; W]) {
    let p = state.p[0];
    let spread = p[0] + noise;
    let (inverse, v) = (1.0 / spread, y - state.m[0]);
    let mut k = p;
    for w in 0..W {
        k[w] *= inverse;
    }
    axpy::<W, FMA>(v, &k, &mut state.m);
    for row in 1..layout.rows() {
        axpy::<W, FMA>(-k[row], &p, &mut state.p[row]);
    }
    for w in 0..W {
        state.p[0][w] = noise * k[w];
    }
    for row in 1..layout.rows() {
        state.p[row][0] = state.p[0][row];
    }
    ([spread, inverse, v], k)
}

/// From the derivatives in the state after an observation to those before it: u and D.
#[inline(always)]
pub(super) fn update_back<L: Layout<W>, const W: usize, const FMA: bool>(
    layout: &L,
    record: &Record<W>,
    state: &mut State<W>,
) -> (f64, f64) {
    let k = &record.k;
    let mut ell = [0.0; W];
    for w in 0..W {
        ell[w] = -k[w];
    }
    ell[0] = record.left;
    let (mut nk, mut nl) = ([0.0; W], [0.0; W]);
    for row in 0..layout.rows() {
        axpy::<W, FMA>(k[row], &state.p[row], &mut nk);
        axpy::<W, FMA>(ell[row], &state.p[row], &mut nl);
    }
    let u = record.scaled - dot::<W, FMA>(k, &state.m);
    let d = record.inverse + dot::<W, FMA>(k, &nk);
    state.m[0] = record.scaled + dot::<W, FMA>(&ell, &state.m);
    state.p[0] = nl;
    state.p[0][0] = record.inverse + dot::<W, FMA>(&ell, &nl);
    for row in 1..layout.rows() {
        state.p[row][0] = state.p[0][row];
    }
    (u, d)
}

/// From the derivatives in the state after a step to those before it.
#[inline(always)]
pub(super) fn predict_back<L: Layout<W>, const W: usize, const FMA: bool>(
    layout: &L,
    a: &[Column],
    step: usize,
    state: &mut State<W>,
) {
    let mut half = [[0.0; W]; W];
    layout.add_transposed_times::<FMA>(a, step, &state.p, &mut half);
    let across = transposed(&half, layout.rows());
    state.p = [[0.0; W]; W];
    layout.add_transposed_times::<FMA>(a, step, &across, &mut state.p);
    state.m = layout.transposed_times_vector::<FMA>(a, step, &state.m);
}

/// The derivatives in A and Q of a step, given those in the state after it and the mean before it.
#[inline(always)]
pub(super) fn cotangents<L: Layout<W>, const W: usize, const FMA: bool>(
    layout: &L,
    record: &Record<W>,
    before: &[f64; W],
    after: &State<W>,
    step: usize,
    [in_a, in_q]: [&mut [Column]; 2],
) {
    let rows = layout.rows();
    let mut of_a = [[0.0; W]; W];
    let mut curvature = [[0.0; W]; W];
    for row in 0..rows {
        for w in 0..W {
            curvature[row][w] = after.m[row].lane_mul_add::<FMA>(after.m[w], -after.p[row][w]);
            of_a[row][w] = after.m[row] * before[w];
        }
        let mut sum = of_a[row];
        for k in 0..rows {
            axpy::<W, FMA>(curvature[row][k], &record.x[k], &mut sum);
        }
        of_a[row] = sum;
    }
    layout.scatter(&of_a, step, in_a);
    for row in 0..rows {
        for col in 0..=row {
            in_q[lower(row, col)][step] = if row == col { 0.5 * curvature[row][row] } else { curvature[row][col] };
        }
    }
}
