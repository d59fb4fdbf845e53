//! The Matérn kernel of any smoothness.
//!
//! A tile takes polynomials (`table`) through values of a quadrature (`mixture`) that are made once for an octave of s
//! and a value of ν: as long as some 12 exponentials an entry, where the quadrature takes 30 to 200.

use std::cell::LazyCell;

use super::mixture::{Mixture, Slopes, Values, decay, within_limits};
use super::table::{self, Cache, Table};
use crate::kernel::{
    DiagVjp, EmbedVjp, Expr, Features, FrequencyLaw, Inputs, Kernel, Markov, MarkovFactor, MarkovTerm, Pairs, Points,
    Properties, Psd, Scratch, Spectral, Structure, TileParts, TileVjp, Variable, Views, add_own_differences_vjp,
    fill_diag,
};
use crate::kernels::markov::half_integer::{self, HalfInteger};
use crate::kernels::radial;
use crate::scalar::special::ln_gamma_half_step;
use crate::simd::{Pass, dispatch, dot, elementwise, sum::lane_sum};
use crate::{Real, Result, Scalar};

crate::kernel! {
    /// The Matérn kernel of any smoothness ν, which is a hyperparameter with a gradient like any other.
    ///
    /// # Definition
    ///
    /// k(x, y) = 2^(1−ν)/Γ(ν) z^ν K_ν(z), with z² = 2ν Σ_d (x_d − y_d)²/ℓ_d² and K_ν the modified Bessel
    /// function of the second kind
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `lengthscale` | ℓ | that of the inputs | positive; one, or one for each dimension |
    /// | `nu` | ν | none | positive; ν → ∞ is the squared exponential |
    ///
    /// # Properties
    ///
    /// Stationary, isotropic with one lengthscale; ⌈ν⌉ − 1 times differentiable samples; positive
    /// semi-definite in any dimension. At coincident points the gradient in ν is 0, and that in the inputs
    /// is given as 0 also for ν ≤ ½, where k has a kink.
    ///
    /// For ν = ½, 3⁄2 and 5⁄2 it agrees with [`Matern12`](super::Matern12), [`Matern32`](super::Matern32)
    /// and [`Matern52`](super::Matern52) to 2 · 10⁻¹⁵, and they are faster: an entry takes as long
    /// here as some 12 exponentials. For each new ν a kernel first prepares, where its pairs are, the functions that entries
    /// are read from: 96 values of 30 to 200 exponentials for each octave of s, which are kept until ν changes. `eval` of
    /// a single pair takes that many exponentials.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Matern::new(2.0, 1.5);
    /// let closed: f64 = Matern32::new(2.0).eval(&[0.0], &[3.0])?;
    /// assert!((kernel.eval(&[0.0], &[3.0])? - closed).abs() < 2e-15);
    /// assert_eq!((2.0 * kernel + 1.0).eval(&[1.0], &[1.0])?, 3.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, eq. 4.14; Trefethen &
    /// Weideman (2014), *The exponentially convergent trapezoidal rule*,
    /// [doi:10.1137/130932132](https://doi.org/10.1137/130932132).
    #[doc(alias = "Matérn")]
    pub Matern as "matern" {
        /// The lengthscale: one, or one for each dimension.
        lengthscale: PerDimension = Positive,
        /// The smoothness ν.
        nu: Scalar = Positive,
        state values: Cache<1>,
        state slopes: Cache<2>,
    }
}

impl Matern {
    /// The kernel as a function of s = r²/ℓ² and ν: for those who keep hyperparameters apart.
    pub fn value<T: Scalar>(s: T, nu: f64) -> T {
        T::from_f64(value(s.as_f64(), within_limits(nu)))
    }

    /// dk/ds at s = 0: −½ E[1/w] where the mean exists, else 0.
    fn slope_at_0<T: Scalar>(&self) -> T {
        let nu = self.nu();
        let slope = if nu > 1.0 { -0.5 * nu / (nu - 1.0) } else { 0.0 };
        T::from_f64(slope.max(<T as num_traits::Float>::min_value().as_f64()))
    }
}

/// k at one s.
fn value(s: f64, nu: f64) -> f64 {
    if s == 0.0 || s.is_nan() {
        return 1.0 + s;
    }
    let mut out = [0.0];
    dispatch(Values { rule: &Mixture::new(nu).rule(s, s), s: &[s], out: &mut out });
    out[0] * (-decay::<false>(s, nu)).exp()
}

/// s·dk/ds and dk/dν at one positive s.
fn slopes(s: f64, nu: f64) -> [f64; 2] {
    let (mut in_s, mut in_nu) = ([0.0], [0.0]);
    dispatch(Slopes { rule: &Mixture::new(nu).rule(s, s), s: &[s], in_s: &mut in_s, in_nu: &mut in_nu });
    let factor = (-decay::<false>(s, nu)).exp();
    [in_s[0] * factor, in_nu[0] * factor]
}

/// The smallest and the largest element.
fn ends(s: &[f64]) -> (f64, f64) {
    s.iter().fold((f64::INFINITY, 0.0), |(low, high), &s| (low.min(s), high.max(s)))
}

impl Matern {
    fn fill_values<T: Scalar>(&self, s: &[T], out: &mut [T]) {
        let nu = within_limits(self.nu());
        let mixture = LazyCell::new(|| Mixture::new(nu));
        let table = self.values.table(nu, s, |s, [out]| {
            let (lowest, highest) = ends(s);
            dispatch(Values { rule: &mixture.rule(lowest, highest), s, out });
        });
        dispatch(TabulatedValues { table: &table, s, out });
        for place in table::uncovered(s) {
            out[place] = T::from_f64(value(s[place].as_f64(), nu));
        }
    }

    fn fill_slopes<T: Scalar>(&self, slope_at_0: T, s: &[T], in_s: &mut [T], in_nu: &mut [T]) {
        let nu = within_limits(self.nu());
        let mixture = LazyCell::new(|| Mixture::new(nu));
        // s·dk/ds, which is finite.
        let table = self.slopes.table(nu, s, |s, [in_s, in_nu]| {
            let (lowest, highest) = ends(s);
            dispatch(Slopes { rule: &mixture.rule(lowest, highest), s, in_s, in_nu });
        });
        dispatch(TabulatedSlopes { table: &table, slope_at_0, s, in_s, in_nu });
        for place in table::uncovered(s) {
            let [by_log_s, by_nu] = slopes(s[place].as_f64(), nu);
            in_s[place] = radial::slope_bounded(T::from_f64(by_log_s / s[place].as_f64()));
            in_nu[place] = T::from_f64(by_nu);
        }
    }
}

/// k at every element of s, but for those that the table does not cover.
struct TabulatedValues<'a, T> {
    table: &'a Table<1>,
    s: &'a [T],
    out: &'a mut [T],
}

impl<T: Scalar> Pass for TabulatedValues<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        self.table.each::<T, FMA>(self.s, [&mut *self.out]);
        for (out, &s) in self.out.iter_mut().zip(self.s) {
            let value = if s == T::from_f64(0.0) { T::from_f64(1.0) } else { *out };
            *out = if s.is_nan() { s } else { value };
        }
    }
}

/// dk/ds and dk/dν at every element of s, but for those that the table does not cover.
struct TabulatedSlopes<'a, T> {
    table: &'a Table<2>,
    slope_at_0: T,
    s: &'a [T],
    in_s: &'a mut [T],
    in_nu: &'a mut [T],
}

impl<T: Scalar> Pass for TabulatedSlopes<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let zero = T::from_f64(0.0);
        self.table.each::<T, FMA>(self.s, [&mut *self.in_s, &mut *self.in_nu]);
        for ((in_s, in_nu), &s) in self.in_s.iter_mut().zip(self.in_nu.iter_mut()).zip(self.s) {
            let slope = if s == zero { self.slope_at_0 } else { radial::slope_bounded(*in_s / s) };
            let by_nu = if s == zero { zero } else { *in_nu };
            (*in_s, *in_nu) = if s.is_nan() { (s, s) } else { (slope, by_nu) };
        }
    }
}

/// r² to s.
struct Scaled<'a, T> {
    squared: &'a mut [T],
    scale: T,
}

impl<T: Scalar> Pass for Scaled<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for squared in self.squared {
            *squared = radial::bounded(*squared * self.scale);
        }
    }
}

/// From dk/ds and s: cotangent · dk/dr² in place of the first, and Σ cotangent · s · dk/ds.
struct ByDistance<'a, T> {
    scale: T,
    s: &'a [T],
    in_s: &'a mut [T],
    cotangent: &'a [T],
}

impl<T: Scalar> Pass for ByDistance<'_, T> {
    type Output = T;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> T {
        let Self { scale, s, in_s, cotangent } = self;
        let weighted = lane_sum([cotangent, in_s, s], |[cotangent, slope, s]| cotangent * (slope * s));
        for (in_s, &cotangent) in in_s.iter_mut().zip(cotangent) {
            *in_s = radial::slope_bounded(*in_s * cotangent * scale);
        }
        weighted
    }
}

impl Expr for Matern {
    fn structure(&self) -> Structure<'_> {
        Structure::Leaf(Views::none().spectral(self).markov(self))
    }

    fn properties(&self) -> Properties {
        Properties {
            isotropic: self.lengthscale.dim().is_none(),
            ..Properties::unknown().psd(Psd::Always).stationary().differentiable()
        }
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        radial::check_dim(self, "lengthscale", &self.lengthscale, dim)
    }
}

// In D dimensions S = 2^D π^(D/2) Γ(ν + D/2)/Γ(ν) (2ν)^ν (2ν + s)^−(ν + D/2), s = Σ ℓ²ω² (Rasmussen & Williams 2006, equation 4.15).
impl Spectral for Matern {
    fn density(&self, theta: &[Variable], frequency: &[Variable]) -> Option<Variable> {
        let nu = *theta.last()?;
        radial::scaled_density(&self.lengthscale, theta, frequency, |dim, s| {
            let half = 0.5 * dim as f64;
            let (mut log_ratio, mut slope) = (0.0, 0.0);
            for step in 0..dim {
                let (step, by) = ln_gamma_half_step(nu.value + 0.5 * step as f64);
                log_ratio += step;
                slope += by;
            }
            let gammas = Variable::with_slopes(log_ratio, [(&nu, slope)]);
            // (2ν)^ν (2ν + s)^−(ν + D/2) = (1 + s/2ν)^−(ν + D/2) (2ν)^(−D/2)
            let power = (nu + half) * (s / (nu * 2.0)).ln_1p();
            let constant = half * (4.0 * std::f64::consts::PI).ln();
            Some((gammas - power - (nu * 2.0).ln() * half + constant).exp())
        })
    }

    fn frequencies(&self, dim: usize) -> Option<(FrequencyLaw, Vec<f64>)> {
        let law = FrequencyLaw::StudentT { degrees: 2.0 * self.nu() };
        Some((law, (0..dim).map(|d| 1.0 / self.lengthscale.at(d)).collect()))
    }

    fn matern(&self) -> Option<f64> {
        (self.lengthscale.values().len() == 1).then(|| self.nu())
    }
}

impl Markov for Matern {
    fn terms(&self, theta: &[Variable], _: Option<f64>) -> std::result::Result<Vec<MarkovTerm>, String> {
        if self.lengthscale.values().len() != 1 {
            return Err("reads more than one column of the inputs".to_owned());
        }
        let derivatives = self.nu() - 0.5;
        if derivatives.fract() != 0.0 || !(0.0..=half_integer::MOST as f64).contains(&derivatives) {
            let most = half_integer::MOST as f64 + 0.5;
            return Err(format!("is a Markov process for a smoothness of 0.5, 1.5, … {most} alone"));
        }
        if self.nu.is_free() {
            return Err("is a Markov process for this smoothness and not for others: freeze `nu`".to_owned());
        }
        Ok(vec![MarkovTerm::of(MarkovFactor::new(HalfInteger(derivatives as usize), theta[0], &[]))])
    }
}

impl<T: Scalar> Kernel<T> for Matern {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        Self::value(radial::scaled_distance(&self.lengthscale, x, y), self.nu())
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        radial::embed(&self.lengthscale, points)
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        let mut s = scratch.take(pairs.len());
        scratch.squared_distances(pairs, &mut s);
        dispatch(Scaled { squared: &mut s, scale: radial::feature_scale(&self.lengthscale, pairs) });
        self.fill_values(&s, out);
        scratch.give(s);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        fill_diag(features.points(), T::from_f64(1.0), out);
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        let scale = radial::feature_scale(&self.lengthscale, pairs);
        let [mut s, mut in_s, mut in_nu] = [(); 3].map(|()| scratch.take(pairs.len()));
        scratch.squared_distances(pairs, &mut s);
        dispatch(Scaled { squared: &mut s, scale });
        let slope_at_0 = self.slope_at_0();
        self.fill_slopes(slope_at_0, &s, &mut in_s, &mut in_nu);
        let weighted = dispatch(ByDistance { scale, s: &s, in_s: &mut in_s, cotangent });
        radial::add_in_lengthscale(&self.lengthscale, pairs, weighted, theta);
        if let Some(last) = theta.last_mut() {
            *last += dot(cotangent, &in_nu).as_f64();
        }
        scratch.add_squared_distance_gradient(pairs, |gradient| elementwise::add(gradient, &in_s));
        [s, in_s, in_nu].into_iter().for_each(|buffer| scratch.give(buffer));
    }

    // k(x, x) = 1.
    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        add_own_differences_vjp(features.points(), cotangent, theta, gradients);
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        radial::embed_vjp(&self.lengthscale, points, features, gradients, theta);
    }
}

#[cfg(test)]
mod tests {
    use approx::{assert_abs_diff_eq, assert_relative_eq};
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64;

    use super::*;
    use crate::prelude::*;
    use crate::testkit::{seed, trials};

    /// ν, s, k, dk/dν, dk/ds, from the Bessel function in 40 digits.
    const REFERENCE: [[f64; 5]; 6] = [
        [0.3, 0.04, 0.6954594106881253, 0.8910782443289579, -2.1694685627630768],
        [0.7, 0.5, 0.548331058506025, 0.2265390505038844, -0.38896761679836045],
        [1.0, 2.0, 0.27973176363304486, 0.047571683189992976, -0.11389387274953344],
        [3.3, 0.5, 0.72149234152619, 0.018134599822010242, -0.43675259312636305],
        [12.0, 9.0, 0.015749101682619684, -0.00034736457494310405, -0.006367305364091009],
        [0.1, 1e-8, 0.8680579706580944, 2.538265301165134, -1319420.2494164205],
    ];

    #[test]
    fn values_and_derivatives_are_those_of_the_bessel_function() {
        for [nu, s, k, in_nu, in_s] in REFERENCE {
            let close = |found: f64, expected: f64| (found - expected).abs() < 4e-15 * (1.0 + expected.abs());
            assert!(close(Matern::value(s, nu), k), "value at {nu}, {s}");
            let [by_log_s, by_nu] = slopes(s, nu);
            assert!(close(by_nu, in_nu), "dk/dν at {nu}, {s:?}: {by_nu}");
            assert!(close(by_log_s / s, in_s), "dk/ds at {nu}, {s:?}: {by_log_s}");
        }
    }

    /// ν, s, k, s·dk/ds, dk/dν, from the Bessel function in 50 digits: ν from 0.1 to 50, z = √(2νs) to the last normal k.
    const TAIL: [[f64; 5]; 48] = [
        [1.5, 0.16221, 0.845032771734159, -0.12111835355969555, 0.0650606767603641],
        [1.163, 8.3774e-07, 0.9999973026009071, -2.649929997381579e-06, 1.0141872194750971e-05],
        [16.47, 1.1144e-07, 0.999999940678192, -5.932180619247598e-08, 2.3282544255439772e-10],
        [50.0, 2.2284e-08, 0.9999999886306123, -1.1369387623146085e-08, 4.6405663487424595e-12],
        [2.342, 3.5839e-07, 0.9999996872768747, -3.127229350924326e-07, 9.949897120001359e-08],
        [1.48, 8.8683e-07, 0.9999986347188783, -1.3643623083075408e-06, 1.8974409800811248e-06],
        [0.3, 251830.0, 3.1538575705064212e-170, -6.132881939918899e-168, -2.016625219724658e-167],
        [0.1444, 550870.0, 2.487008757166835e-175, -4.964290399630476e-173, -3.4065803892363387e-172],
        [36.07, 2742.2, 1.2142864098219094e-149, -2.4932873778205888e-147, -4.588458370265215e-149],
        [50.0, 4464.4, 1.0656545828863975e-227, -3.306336597476987e-225, -4.498307704602099e-227],
        [3.611, 10853.0, 5.916373442277514e-116, -8.190529653648804e-114, -2.042494004927632e-114],
        [43.14, 12.866, 0.0021390722751356136, -0.012360386810775451, -1.2313551824328842e-05],
        [0.5, 41832.0, 1.4938350730693144e-89, -1.52766092614211e-87, -2.9568256876493777e-87],
        [0.2451, 14218.0, 1.0225121644138553e-37, -4.2811708554916766e-36, -1.6644146532956796e-35],
        [0.6801, 243460.0, 4.449392747423344e-250, -1.2798236729242e-247, -1.8509339586761967e-247],
        [0.5, 5344.0, 1.786137461862968e-32, -6.528570651871282e-31, -1.2062437556674888e-30],
        [3.481, 2535.3, 3.08413226712784e-53, -2.0034443062995993e-51, -4.7914676231001104e-52],
        [0.1832, 688280.0, 4.915623865470712e-220, -1.235044646646469e-217, -6.6859869470971704e-217],
        [50.0, 18.053, 0.000203930670800761, -0.0016136987348993547, -1.8165081618057076e-06],
        [0.3596, 320140.0, 1.3477306022233862e-209, -3.2344083210000784e-207, -8.881716262954292e-207],
        [1.426, 17252.0, 7.288227469998826e-95, -8.049658746936131e-93, -5.298718541994475e-93],
        [50.0, 4238.8, 8.286692671041572e-221, -2.5004045969133884e-218, -3.376509774835604e-220],
        [0.946, 16282.0, 7.520331977511672e-76, -6.582956768684869e-74, -6.571455098641279e-74],
        [0.3056, 494730.0, 3.10944021959831e-240, -8.552270067428842e-238, -2.770370307510898e-237],
        [0.3, 273620.0, 2.203953542769699e-177, -4.467207143126058e-175, -1.469642406079572e-174],
        [2.615, 72798.0, 2.4000055894376878e-263, -7.379134260257767e-261, -2.7023770003336114e-261],
        [9.306, 2221.8, 6.44152768189136e-76, -6.272677048799187e-74, -5.135585489691416e-75],
        [0.3, 11670.0, 1.27959705355593e-37, -5.366438695484045e-36, -1.6961711388943032e-35],
        [1.344, 106050.0, 2.9626298042350897e-230, -7.896442491499951e-228, -5.706162769814052e-228],
        [0.2572, 231350.0, 2.1832776299877342e-151, -3.7685078638366505e-149, -1.4449925473220032e-148],
        [0.1, 2300100.0, 4.9976089563978086e-297, -1.6958075762440715e-294, -1.687686327897449e-293],
        [0.162, 478310.0, 5.594468689490161e-173, -1.1021190240478787e-170, -6.737223233477584e-170],
        [13.48, 12350.0, 2.7592139962240865e-228, -7.783747397202256e-226, -4.912199582829677e-227],
        [1.5, 80143.0, 5.5123038508873976e-211, -1.3486888638749018e-208, -8.689818265223721e-209],
        [4.02, 20810.0, 9.090656603218755e-171, -1.843302372519117e-168, -4.215457791361196e-169],
        [1.703, 102990.0, 1.107700037960452e-254, -3.273637937067594e-252, -1.8615445444279693e-252],
        [1.0, 55946.0, 1.2249140220063893e-144, -2.0456292832215933e-142, -1.97581288028432e-142],
        [6.202, 150.74, 1.0956344207013159e-13, -2.0800015480301583e-12, -1.7399956716180214e-13],
        [7.822, 13315.0, 6.110806095933366e-185, -1.3723141107680994e-182, -1.5432587384128027e-183],
        [2.5, 8080.0, 6.976145857539455e-84, -6.941696384110806e-82, -2.5032558009333895e-82],
        [1.1, 101080.0, 7.851964693013105e-204, -1.8490144654083212e-201, -1.6346820180900025e-201],
        [0.1151, 461000.0, 1.0115607997587086e-143, -1.6495955049021563e-141, -1.4188368523178253e-140],
        [0.5, 185670.0, 7.327093091801393e-188, -1.578601758992254e-185, -3.1034418152526e-185],
        [2.15, 5531.6, 2.280682807122252e-64, -1.740056071866339e-62, -7.216604824667538e-63],
        [0.5967, 227170.0, 1.5129623786938095e-226, -3.9380938284919967e-224, -6.492129157401518e-224],
        [2.0, 19034.0, 4.240001707206727e-117, -5.818009447518865e-115, -2.717719511646505e-115],
        [22.49, 72.917, 8.47488800557213e-12, -1.6725143046305393e-10, -1.97654896167261e-12],
        [1.631, 46051.0, 3.630816995546751e-166, -7.015686758837194e-164, -4.115614484968329e-164],
    ];

    #[test]
    fn the_tail_keeps_its_digits_until_it_underflows() {
        for [nu, s, k, by_log_s, by_nu] in TAIL {
            let kernel = Matern::new(1.0, nu);
            let [mut values, mut in_s, mut in_nu] = [[0.0]; 3];
            kernel.fill_values(&[s], &mut values);
            kernel.fill_slopes(kernel.slope_at_0(), &[s], &mut in_s, &mut in_nu);
            // The exponent, up to 708, has four roundings.
            for value in [values[0], Matern::value(s, nu)] {
                assert_relative_eq!(value, k, epsilon = 0.0, max_relative = 5e-13);
            }
            assert_relative_eq!(in_s[0] * s, by_log_s, epsilon = 0.0, max_relative = 5e-13);
            assert_abs_diff_eq!(in_nu[0], by_nu, epsilon = 5e-13 * k.max(by_nu.abs()));

            // In single precision, the same numbers rounded, at the s that it has.
            let single = s as f32;
            let (mut values, exact) = ([0.0f32], value(f64::from(single), nu));
            kernel.fill_values(&[single], &mut values);
            if exact > f64::from(f32::MIN_POSITIVE) {
                assert_relative_eq!(f64::from(values[0]), exact, epsilon = 0.0, max_relative = 6e-8);
            }
        }
    }

    /// K_{ν+1} = K_{ν−1} + (2ν/z) K_ν, in terms of kernels at the same z: k_{ν+1} = k_ν + z²/(4ν(ν − 1)) k_{ν−1}.
    #[test]
    fn kernels_of_any_smoothness_follow_the_recurrence_of_bessel_functions() {
        let mut rng = Pcg64::seed_from_u64(seed(7));
        for _ in 0..trials(200) {
            let (nu, z): (f64, f64) = (rng.random_range(1.1..49.0), rng.random_range(0.01..690.0));
            let [below, at, above] = [nu - 1.0, nu, nu + 1.0].map(|nu| {
                let mut value = [0.0];
                Matern::new(1.0, nu).fill_values(&[z * z / (2.0 * nu)], &mut value);
                value[0]
            });
            // Each exponent, up to 708, has six roundings with that of s.
            assert_relative_eq!(
                above,
                at + z * z / (4.0 * nu * (nu - 1.0)) * below,
                epsilon = 0.0,
                max_relative = 1e-12
            );
        }
    }

    #[test]
    fn tables_are_as_good_as_sums() {
        let mut s: Vec<f64> = (0..4000).map(|k| 2f64.powf(-45.0 + 65.0 * f64::from(k) / 4000.0)).collect();
        // Beyond the table on both sides.
        s.extend([0.0, 5e-324, 1e-200, 1e-31, 2f64.powi(-100), 2f64.powi(40), 1e13, 1e300]);
        let least = 1e10 * f64::MIN_POSITIVE;
        for nu in [1e-200, 1e-6, 0.05, 0.3, 0.5, 0.9, 1.0, 1.7, 2.5, 4.2, 17.0, 400.0, 3e4, 1e9, 1e200] {
            let kernel = Matern::new(1.0, nu);
            let [mut values, mut in_s, mut in_nu] = [(); 3].map(|()| vec![0.0; s.len()]);
            kernel.fill_values(&s, &mut values);
            let slope_at_0 = kernel.slope_at_0();
            kernel.fill_slopes(slope_at_0, &s, &mut in_s, &mut in_nu);
            for (row, &s) in s.iter().enumerate() {
                let nu = within_limits(nu);
                let exact = value(s, nu);
                // Where the exponential underflows, the table has 0. The interpolation is good to 2 · 10⁻¹⁵ of the function,
                // and so are sums of so many terms; the exponent is rounded some four times in each.
                let most = 1e-14 + 4.0 * f64::EPSILON * decay::<false>(s, nu);
                assert_relative_eq!(values[row], exact, epsilon = least, max_relative = most);
                if s > 0.0 {
                    let [by_log_s, by_nu] = slopes(s, nu);
                    let slope = radial::slope_bounded(by_log_s / s);
                    assert_relative_eq!(in_s[row], slope, epsilon = least, max_relative = 2.0 * most);
                    assert_abs_diff_eq!(in_nu[row], by_nu, epsilon = 2.0 * most * exact.max(by_nu.abs()) + least);
                }
            }
            assert_eq!([values[4000], in_s[4000], in_nu[4000]], [1.0, slope_at_0, 0.0]);
        }
    }

    #[test]
    fn a_table_follows_the_smoothness() {
        let x = mat![[0.0], [0.3], [2.0], [1e-20], [f64::NAN]];
        let mut kernel = Matern::new(0.8, 1.3);
        let before: Mat<f64> = kernel.gram(x.as_ref()).unwrap();
        let clone = kernel.clone();
        kernel.set("matern.nu", 2.5).unwrap();
        let after: Mat<f64> = kernel.gram(x.as_ref()).unwrap();
        let expected: Mat<f64> = Matern52::new(0.8).gram(x.as_ref()).unwrap();
        let again: Mat<f64> = clone.gram(x.as_ref()).unwrap();
        for (row, col) in (0..4).flat_map(|row| [(row, 0), (row, 1), (row, 2), (row, 3)]) {
            assert!((after[(row, col)] - expected[(row, col)]).abs() < 2e-15);
            assert_eq!(before[(row, col)], again[(row, col)]);
        }
        assert!(after[(4, 0)].is_nan());
    }

    #[test]
    fn half_integers_are_the_closed_forms() {
        for s in [0.0, 1e-12, 1e-6, 0.01, 0.3, 1.0, 7.0, 60.0, 1e4] {
            let known = [(0.5, Matern12::value(s)), (1.5, Matern32::value(s)), (2.5, Matern52::value(s))];
            for (nu, expected) in known {
                let found: f64 = Matern::value(s, nu);
                assert!((found - expected).abs() < 2e-15, "ν = {nu}, s = {s}: {found} {expected}");
            }
        }
    }

    #[test]
    fn the_limit_is_the_squared_exponential() {
        for nu in [1e14, 1e20, 1e150] {
            for s in [1e-3, 1.0, 5.0] {
                let found: f64 = Matern::value(s, nu);
                // The next term of the expansion is below s²/(8ν).
                assert!((found - Rbf::value(s)).abs() < 4e-15 + s * s / nu, "ν = {nu}, s = {s}");
            }
        }
    }

    #[test]
    fn finite_at_the_ends() {
        for nu in [1e-150, 1e-3, 0.5, 1.0, 1.0f64.next_up(), 1e150] {
            for s in [0.0, f64::MIN_POSITIVE, 1e-30, 1.0, 1e300] {
                let value: f64 = Matern::value(s, nu);
                assert!((0.0..=1.0 + 1e-15).contains(&value), "ν = {nu}, s = {s}: {value}");
                let single: f32 = Matern::value(s as f32, nu);
                assert!((0.0..=1.0 + 1e-6).contains(&single), "ν = {nu}, s = {s}: {single}");
            }
            assert!(Matern::value(f64::NAN, nu).is_nan());
        }
    }
}
