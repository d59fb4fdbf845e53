//! The stochastically driven, damped harmonic oscillator.

use std::f64::consts::{PI, TAU};

use super::markov::oscillating::Oscillating;
use super::radial::largest;
use super::{Profile, Radial};
use crate::kernel::{FrequencyLaw, Markov, MarkovFactor, MarkovTerm, Psd, Variable};
use crate::params::PerDimension;
use crate::simd::{Lanes, One};
use crate::{Real, Scalar};

crate::kernel! {
    /// The damped harmonic oscillator that white noise drives: oscillations of a period that keep their phase for some
    /// cycles.
    ///
    /// # Definition
    ///
    /// k(x, y) = exp(−a t) (cos(η t) + a sin(η t)/η), with t = 2π |x − y|/p, a = 1/(2Q) and η² = 1 − a²
    ///
    /// For Q < ½, where η is imaginary, the cosine and the sine are hyperbolic; for Q = ½ it is exp(−t) (1 + t).
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `period` | p | that of the inputs | positive; one, or one for each dimension |
    /// | `quality` | Q | none | positive |
    ///
    /// The period is that of the oscillator without damping, p = 2π/ω₀; what is seen has the period p/η. The
    /// correlation of peaks falls by the factor e in Q/π periods.
    ///
    /// # Properties
    ///
    /// Stationary; once differentiable samples. The spectral density is (2ω₀³/Q)/((ω² − ω₀²)² + ω₀²ω²/Q²),
    /// which is positive: it is positive semi-definite in one dimension. In more, where it is a function of the
    /// Euclidean distance, it is not for large Q, and models refuse it unless told to allow indefinite kernels; take a product
    /// of kernels of one column each, by [`on`](crate::algebra::Compose::on).
    ///
    /// Q = ½ is [`Matern32`](super::Matern32) of lengthscale √3 p/2π; Q → ∞ is [`Cosine`](super::Cosine); for Q → 0,
    /// with p/(2πQ) kept, it is [`Matern12`](super::Matern12) of that lengthscale. Values and gradients go through Q = ½
    /// without a seam.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = DampedOscillator::new(12.0, 5.0);
    /// let (t, a) = (std::f64::consts::TAU * 3.0 / 12.0, 0.1f64);
    /// let eta = (1.0 - a * a).sqrt();
    /// let expected = (-a * t).exp() * ((eta * t).cos() + a * (eta * t).sin() / eta);
    /// assert!((kernel.eval(&[1.0], &[4.0])? - expected).abs() < 1e-15);
    /// assert_eq!((2.0 * kernel + 1.0).eval(&[1.0], &[1.0])?, 3.0);
    ///
    /// // Without oscillation: Q = ½.
    /// let critical = DampedOscillator::new(12.0, 0.5).eval(&[1.0], &[4.0])?;
    /// assert!((critical - (-t).exp() * (1.0 + t)).abs() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Foreman-Mackey, Agol, Ambikasaran & Angus (2017), "Fast and scalable Gaussian process modeling with applications to
    /// astronomical time series", *The Astronomical Journal* 154, 220, eqs. 20–23,
    /// [doi:10.3847/1538-3881/aa9332](https://doi.org/10.3847/1538-3881/aa9332).
    #[doc(alias = "SHO")]
    #[doc(alias = "SHOTerm")]
    #[doc(alias = "stochastically driven damped harmonic oscillator")]
    #[doc(alias = "celerite")]
    pub DampedOscillator as "damped_oscillator" {
        /// The period without damping: one, or one for each dimension.
        period: PerDimension = Positive,
        /// The quality factor Q.
        quality: Scalar = Positive,
    }
}

impl DampedOscillator {
    /// The kernel as a function of s = r²/p² and Q: for those who keep hyperparameters apart.
    pub fn value<T: Scalar>(s: T, quality: f64) -> T {
        DampedOscillatorProfile::new(quality).value(One::<T, false>(s)).0
    }
}

impl Radial for DampedOscillator {
    type Profile<T: Scalar> = DampedOscillatorProfile<T>;
    const SCALE: &'static str = "period";

    fn lengthscale(&self) -> &PerDimension {
        &self.period
    }

    fn profile<T: Scalar>(&self) -> DampedOscillatorProfile<T> {
        DampedOscillatorProfile::new(self.quality())
    }

    fn psd(&self) -> Psd {
        Psd::UpTo(1)
    }

    fn markov(&self) -> Option<&dyn Markov> {
        Some(self)
    }

    // With v = ω²/ω₀²: 2/(ω₀ Q)/((v − 1)² + v/Q²)
    fn spectral_density(&self, shape: Option<Variable>, dim: usize, squared_frequency: Variable) -> Option<Variable> {
        let (quality, 1) = (shape?, dim) else { return None };
        let inverse = Variable::from_f64(1.0) / quality;
        let squared = squared_frequency / (TAU * TAU);
        let detuned = squared - 1.0;
        Some(inverse * (2.0 / TAU) / (detuned * detuned + squared * inverse * inverse))
    }
}

impl Markov for DampedOscillator {
    fn terms(&self, theta: &[Variable], _: Option<f64>) -> Result<Vec<MarkovTerm>, String> {
        match theta {
            [period, quality] => Ok(vec![MarkovTerm::of(MarkovFactor::new(Oscillating, *period, &[*quality]))]),
            _ => Err("reads more than one column of the inputs".to_owned()),
        }
    }
}

/// The kernel as a function of s = r²/p². With t = 2π√s and z = η²t², which may be negative, C(z) = cos √z and
/// S(z) = (sin √z)/√z are smooth through z = 0, and so is G = (S − C)/z. With them
///
/// k = e^(−at) (C + a t S), dk/ds = −2π² e^(−at) S, dk/dQ = −2a² t³ e^(−at) G.
///
/// Where z < 0, with κ² = −η² and w = κt, all is a multiple of e^(−at) cosh w = e^(−t/(a + κ)) (1 + e^(−2w))/2, in which
/// nothing overflows and nothing cancels: C is 1 then and S is (tanh w)/w.
#[derive(Clone, Copy, Debug)]
pub struct DampedOscillatorProfile<T> {
    /// Q
    quality: f64,
    /// Whether z is negative.
    overdamped: bool,
    /// η, which makes turns of √s; 2πκ, which makes w of it, where z is negative.
    rate: T,
    /// The rate of decay in √s: 2πa, or 2π/(a + κ) where z is negative.
    decay: T,
    /// a t = gain · (c t), for c = max(1, κ).
    gain: T,
    /// 2πc
    scale: T,
    /// c²/|η²|
    ratio: T,
    /// −2 (a/c)²
    shape_unit: f64,
}

/// G(z) = Σ (−z)ⁿ 2(n + 1)/(2n + 3)!, for |z| at most 1, where what is left out is 1.3 · 10⁻¹⁸ of it.
const SERIES: [f64; 9] = [
    1.0 / 3.0,
    -1.0 / 30.0,
    1.0 / 840.0,
    -1.0 / 45_360.0,
    1.0 / 3_991_680.0,
    -1.0 / 518_918_400.0,
    1.0 / 93_405_312_000.0,
    -1.0 / 22_230_464_256_000.0,
    1.0 / 6_758_061_133_824_000.0,
];

impl<T: Scalar> DampedOscillatorProfile<T> {
    fn new(quality: f64) -> Self {
        let number = |value: f64| T::from_f64(value.min(<T as num_traits::Float>::max_value().as_f64()));
        let overdamped = quality < 0.5;
        let damping = 0.5 / quality;
        // |η| from 1 − a = (Q − ½)/Q, a difference that is exact near Q = ½; by two roots, as the square may overflow.
        let root = ((quality - 0.5).abs() / quality).sqrt() * (1.0 + damping).sqrt();
        let scale = if overdamped { root.max(1.0) } else { 1.0 };
        let (rate, decay) = if overdamped { (TAU * root, TAU / (damping + root)) } else { (root, TAU * damping) };
        Self {
            quality,
            overdamped,
            rate: number(rate),
            decay: number(decay),
            gain: number(damping / scale),
            scale: number(TAU * scale),
            ratio: number((scale / root).powi(2)),
            shape_unit: -2.0 * (damping / scale).powi(2),
        }
    }

    /// Of √s: what all is a multiple of, C, S, and √|z|.
    #[inline(always)]
    fn parts<L: Lanes<T>>(self, root: L) -> Parts<L> {
        let (zero, one) = (root.all(T::from_f64(0.0)), root.all(T::from_f64(1.0)));
        let envelope = (root * root.all(self.decay)).decay(1.0);
        if self.overdamped {
            let angle = (root * root.all(self.rate)).at_most(largest());
            let half = angle.decay(1.0);
            let sine = angle.if_equal(zero, one, angle.tanh() / angle);
            let cosh = half.mul_add(half, one) * 0.5;
            Parts { envelope: envelope * cosh, plain: envelope * half, cosine: one, sine, angle }
        } else {
            let turns = root * root.all(self.rate);
            let part = (turns - turns.floor()) * TAU;
            let angle = turns * TAU;
            let sine = angle.if_equal(zero, one, part.sin() / angle);
            Parts { envelope, plain: envelope, cosine: part.cos(), sine, angle }
        }
    }

    /// c t, at most so large that it can be multiplied by S.
    #[inline(always)]
    fn scaled<L: Lanes<T>>(self, root: L) -> L {
        (root * root.all(self.scale)).at_most(largest())
    }

    #[inline(always)]
    fn value_of<L: Lanes<T>>(self, root: L, parts: Parts<L>) -> L {
        let Parts { envelope, cosine, sine, .. } = parts;
        let lag = self.scaled(root) * sine;
        envelope * lag.mul_add(root.all(self.gain), cosine)
    }
}

/// What the value and its derivatives are made of.
#[derive(Clone, Copy)]
struct Parts<L> {
    /// e^(−at), times cosh w where z < 0.
    envelope: L,
    /// e^(−at)
    plain: L,
    /// C and S; 1 and (tanh w)/w where z < 0.
    cosine: L,
    sine: L,
    /// √|z|
    angle: L,
}

impl<T: Scalar> Profile<T> for DampedOscillatorProfile<T> {
    #[inline(always)]
    fn value<L: Lanes<T>>(self, s: L) -> L {
        let root = s.sqrt();
        self.value_of(root, self.parts(root))
    }

    #[inline(always)]
    fn slope<L: Lanes<T>>(self, s: L, _: L) -> L {
        let Parts { envelope, sine, .. } = self.parts(s.sqrt());
        envelope * sine * (-2.0 * PI * PI)
    }

    #[inline(always)]
    fn value_and_slope<L: Lanes<T>>(self, s: L) -> (L, L) {
        let root = s.sqrt();
        let parts = self.parts(root);
        (self.value_of(root, parts), parts.envelope * parts.sine * (-2.0 * PI * PI))
    }

    // e^(−at) t (ct)² G: from its series, or as e^(−at) t c²/|η²| |S − C|, of which little is left for small z.
    #[inline(always)]
    fn shape_slope<L: Lanes<T>>(self, s: L, _: L) -> Option<L> {
        let root = s.sqrt();
        let Parts { envelope, plain, cosine, sine, angle } = self.parts(root);
        let time = root * TAU;
        let lost = if self.overdamped { cosine - sine } else { sine - cosine };
        let far = envelope * time * lost * s.all(self.ratio);
        let square = if self.overdamped { -(angle * angle) } else { angle * angle };
        let mut series = s.all(T::from_f64(SERIES[SERIES.len() - 1]));
        for &coefficient in SERIES.iter().rev().skip(1) {
            series = series.mul_add(square, s.all(T::from_f64(coefficient)));
        }
        let scaled = self.scaled(root);
        // From the left, because the exponential vanishes where the factors are large.
        let near = plain * time * scaled * scaled * series;
        Some(angle.if_less(s.all(T::from_f64(1.0)), near, far))
    }

    fn shape_unit(self) -> f64 {
        self.shape_unit
    }

    fn frequency_law(self) -> Option<FrequencyLaw> {
        Some(FrequencyLaw::Oscillator { frequency: TAU, quality: self.quality })
    }
}

#[cfg(test)]
mod tests {
    use approx::{assert_abs_diff_eq, assert_relative_eq};
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    use super::*;
    use crate::kernels::radial::{shape_slope_at, slope_at, value_at};
    use crate::prelude::*;
    use crate::views::{spectral_density, spectral_density_vjp, spectral_measure};

    /// Q, s (a number of both precisions), k, dk/ds and dk/dQ, from 80 digits.
    #[rustfmt::skip]
    const REFERENCE: [[f64; 5]; 51] = [
        [27.04, 0.3684299886226654, -0.7402750810014079, 3.001580053617917, -0.0015066303498922269],
        [16.89, 2.024433135986328, -0.6669208586743051, -0.7960945957943417, -0.01125905970300783],
        [4.149, 1.1998258829116821, 0.3998246512452827, -0.6578461309970018, 0.06873710409312901],
        [9.915, 0.01041329838335514, 0.8055791728645115, -17.831593635861847, -0.0004151729960420556],
        [25.62, 0.0007195440703071654, 0.9858613656013915, -19.58140885393073, -1.2082421506296635e-06],
        [29.94, 3.1880281312623993e-06, 0.9999370793661748, -19.735097099793386, -2.624708934536892e-10],
        [1.199, 1.0290204954799265e-06, 0.9999797239623501, -19.68670301756703, -2.9938514409816786e-08],
        [1.823, 3.223800740670413e-05, 0.9993678449855455, -19.543174372959577, -2.2545857023412907e-06],
        [52.4, 0.00010595859203021973, 0.9979100501104128, -19.713281466368013, -1.6405155961230184e-08],
        [84.42, 1.8038139343261719, -0.520242129088183, -1.8556409434880137, -0.00036645852947144114],
        [1000000000000.0, 0.30000001192092896, -0.9553808830538982, 1.6942028369916942, -1.496255809251026e-24],
        [30000000.0, 40.29999923706055, -0.5787413726993741, -0.4035773773587997, -1.3277678832179468e-14],
        [0.5, 0.003118491033092141, 0.9511129965450618, -13.897822881981035, -0.02027599273747343],
        [0.5, 0.4111713767051697, 0.0894805020858044, -0.3512216624383776, -0.7757721960206715],
        [0.5000001, 0.0006757410010322928, 0.9880286028044738, -16.76469962772564, -0.002467087849660894],
        [0.5000001, 0.1768859177827835, 0.2592711506881348, -1.4049996157438427, -0.8756581749949818],
        [0.4999999, 0.00021168914099689573, 0.996067565694325, -18.01472488773116, -0.00046483014358385743],
        [0.4999999, 0.325319766998291, 0.1272992018821637, -0.5481965655356293, -0.852158968679999],
        [0.500000003, 0.10364539176225662, 0.3998673378609809, -2.6111689734224024, -0.7299255638999952],
        [0.500000003, 0.10133309662342072, 0.4059740249414989, -2.6710973575234136, -0.7218306026871344],
        [0.499999997, 0.24528513848781586, 0.18305662364144476, -0.8787803097774469, -0.8943464299651699],
        [0.499999997, 0.3753398358821869, 0.10325650422988292, -0.42030040948944314, -0.8096837211848967],
        [0.5000000000002, 0.003546415828168392, 0.9452352578404578, -13.577744427275828, -0.024023192404432507],
        [0.5000000000002, 2.463092565536499, 0.0005666284906121319, -0.0010298144749891125, -0.033350219525499165],
        [0.4999999999998, 0.025335293263196945, 0.7357225951115417, -7.260932857396968, -0.24530134494930125],
        [0.4999999999998, 0.34422966837882996, 0.11744962975113236, -0.49469874828662536, -0.8370123464576094],
        [0.5000000000000001, 0.025473693385720253, 0.734719051152337, -7.24115261193713, -0.24664038023594873],
        [0.5000000000000001, 1.577384352684021, 0.0033251915577963203, -0.007382119593177162, -0.12251971396354615],
        [0.4999999999999999, 0.0001927545526996255, 0.9964093760819329, -18.09026004957039, -0.00040557425740257643],
        [0.4999999999999999, 4.546416759490967, 2.1874714836225865e-05, -2.9991189100082498e-05, -0.002435657151928293],
        [0.5001, 0.00013011513510718942, 0.9975510896944009, -18.374243783921916, -0.00022837373971559477],
        [0.5001, 1.8821383714675903, 0.0017283782497369345, -0.003550757911728936, -0.07693166745213385],
        [0.4999, 1.6765034198760986, 0.0026868881107114024, -0.005798997607171051, -0.10531408303322654],
        [0.4999, 0.10732843726873398, 0.3904943020050719, -2.5194539459788143, -0.7423725283215628],
        [0.53, 0.8683434128761292, 0.009133179801181604, -0.037811676444120215, -0.3186247451064798],
        [0.53, 0.41928914189338684, 0.06447815236552558, -0.3072813662888999, -0.7135594531150786],
        [0.47, 0.07808977365493774, 0.49531198132369547, -3.2593221010376903, -0.6567649981126011],
        [0.47, 0.10361753404140472, 0.4223689725576153, -2.5073451807052938, -0.7658170734669614],
        [0.06921, 4.105984210968018, 0.4145429205025101, -0.04469665021663992, -5.2961517396939595],
        [0.002039, 0.0016397631261497736, 0.9994855025179217, -0.15810836407772377, -0.2502275162231148],
        [0.007859, 0.01560051180422306, 0.9939123920629028, -0.19648195460495035, -0.7645224360153535],
        [0.1039, 9.385898010805249e-05, 0.9984622248071867, -14.929189924488119, -0.0026194632337367446],
        [0.1719, 2.1364081476349384e-05, 0.9996010962019881, -18.159299264538426, -0.00012704283520668157],
        [0.003484, 0.4129718840122223, 0.9860427430941305, -0.01679456615418648, -3.974674190881188],
        [0.2438, 0.011471910402178764, 0.8948296344262738, -6.256947029958201, -0.24784313822112514],
        [0.006492, 0.007099044043570757, 0.9966109294615797, -0.2412528203351674, -0.5147247993116851],
        [0.1193, 4.3777594566345215, 0.20668044967331659, -0.03756480625273943, -2.7858464007179666],
        [0.3904, 0.0002842923568096012, 0.994867964238568, -17.255349982271238, -0.0011360634131318598],
        [1e-12, 2.0000000400817547e+20, 0.9149758022785132, -2.03256517001829e-22, -81302608430.10718],
        [4e-09, 1.0000000116860974e-07, 0.9999999999920524, -3.973835283067545e-05, -0.0019869096647530857],
        [3e-30, 9.999999682655225e-21, 1.0, -9.424778110314584e-20, -6.283185207482784e-10],
    ];

    /// (a, t), and the exponent of the envelope.
    fn damping(quality: f64, s: f64) -> (f64, f64, f64) {
        let (a, t) = (0.5 / quality, TAU * s.sqrt());
        (a, t, if a > 1.0 { t / (a + (a * a - 1.0).sqrt()) } else { a * t })
    }

    fn agrees<T: Scalar>() {
        for [quality, s, value, in_s, in_quality] in REFERENCE {
            let (a, t, exponent) = damping(quality, s);
            // The angle and the exponent are rounded twice, all else a few times; the rows are no near misses of a zero.
            let most = T::epsilon().as_f64() * (8.0 + 4.0 * if a < 1.0 { t } else { exponent });
            let profile = DampedOscillatorProfile::<T>::new(quality);
            let s = T::from_f64(s);
            let found = value_at(profile, s);
            assert_relative_eq!(found.as_f64(), value, epsilon = 0.0, max_relative = most);
            assert_relative_eq!(slope_at(profile, s, found).as_f64(), in_s, epsilon = 0.0, max_relative = most);
            let (both, slope) = profile.value_and_slope(One::<T, true>(s));
            assert_eq!((both.0, slope.0), (found, slope_at(profile, s, found)));
            let found = shape_slope_at(profile, s, found).unwrap().as_f64() * profile.shape_unit();
            assert_relative_eq!(found, in_quality, epsilon = 0.0, max_relative = most);
        }
    }

    #[test]
    fn values_and_slopes_keep_their_digits_through_all_regimes() {
        agrees::<f64>();
        agrees::<f32>();
    }

    #[test]
    fn limits_are_other_kernels() {
        let (x, y) = ([0.3], [2.0]);
        let at = |kernel: DynKernel| -> f64 { kernel.eval(&x, &y).unwrap() };
        let critical = at(DampedOscillator::new(1.3, 0.5).dynamic());
        assert_abs_diff_eq!(critical, at(Matern32::new(3f64.sqrt() * 1.3 / TAU).dynamic()), epsilon = 1e-15);
        // The next terms are t/(2Q) = 4e-12, and 1/a² = 4e-12.
        let free = at(DampedOscillator::new(1.3, 1e12).dynamic());
        assert_abs_diff_eq!(free, at(Cosine::new(1.3).dynamic()), epsilon = 1e-11);
        let stiff = at(DampedOscillator::new(1.3 * TAU * 1e-6, 1e-6).dynamic());
        assert_abs_diff_eq!(stiff, at(Matern12::new(1.3).dynamic()), epsilon = 1e-11);
    }

    fn finite<T: Scalar>() {
        let smallest = <T as num_traits::Float>::min_positive_value().as_f64();
        for quality in [1e-300, 1e-40, 1e-20, 1e-3, 0.5f64.next_down(), 0.5, 0.5f64.next_up(), 3.0, 1e20, 1e40, 1e300] {
            let profile = DampedOscillatorProfile::<T>::new(quality);
            let zero = T::from_f64(0.0);
            assert_eq!(value_at(profile, zero), T::from_f64(1.0));
            assert_eq!(shape_slope_at(profile, zero, zero), Some(zero));
            let slope = slope_at(profile, zero, zero);
            assert!(num_traits::Float::abs(slope.as_f64() + 2.0 * PI * PI) < 1e-5, "{quality}: {slope:?}");
            for s in [smallest, 1e-30, 1e-9, 0.03, 1.0, 70.0, 1e9, 1e30, largest::<T>().as_f64()] {
                let s = T::from_f64(s);
                let value = value_at(profile, s);
                let bound = 1.0 + 4.0 * T::epsilon().as_f64();
                assert!(value.as_f64().abs() <= bound, "{quality} {s:?}: {value:?}");
                let (in_s, in_shape) = (slope_at(profile, s, value), shape_slope_at(profile, s, value).unwrap());
                assert!(num_traits::Float::is_finite(in_s), "{quality} {s:?}: {in_s:?}");
                assert!(num_traits::Float::is_finite(in_shape), "{quality} {s:?}: {in_shape:?}");
            }
            let value = value_at(profile, T::nan());
            assert!(value.is_nan() && slope_at(profile, T::nan(), value).is_nan());
            assert!(shape_slope_at(profile, T::nan(), value).unwrap().is_nan());
        }
    }

    #[test]
    fn the_ends_are_finite() {
        finite::<f64>();
        finite::<f32>();
    }

    #[test]
    fn the_spectral_density_is_that_of_the_kernel() {
        let period = 1.7;
        for quality in [0.1, 0.5, 0.6, 4.0] {
            let kernel = DampedOscillator::new(period, quality).dynamic();
            // (1/π) ∫ S(ω) cos(ωr) dω over ω > 0, by the trapezoidal rule. What is left out is (4ω₀³/Q)/(6π ω³).
            for r in [0.0, 0.4, 1.9] {
                let (step, steps) = (2e-3, 2_000_000);
                let term = |i: i32| {
                    let omega = step * f64::from(i);
                    let end = if i == 0 || i == steps { 0.5 } else { 1.0 };
                    end * spectral_density(&kernel, &[omega]).unwrap() * (omega * r).cos()
                };
                let integral = (0..=steps).map(term).sum::<f64>() * step / PI;
                let value: f64 = kernel.eval(&[0.0], &[r]).unwrap();
                assert_abs_diff_eq!(integral, value, epsilon = 1e-7);
            }
            let (omega, h) = (3.3, 1e-5);
            let mut theta = [0.0; 2];
            spectral_density_vjp(&kernel, &[omega], 1.0, &mut theta);
            let density = |period: f64, quality: f64| {
                spectral_density(&DampedOscillator::new(period, quality), &[omega]).unwrap()
            };
            let in_period = (density(period + h, quality) - density(period - h, quality)) / (2.0 * h);
            let in_quality = (density(period, quality + h) - density(period, quality - h)) / (2.0 * h);
            assert_relative_eq!(theta[0], in_period, max_relative = 1e-6);
            assert_relative_eq!(theta[1], in_quality, max_relative = 1e-6);
            assert!(spectral_density(&kernel, &[omega, 1.0]).is_none());
        }
    }

    #[test]
    fn a_line_alone_has_frequencies() {
        for quality in [0.2, 4.0] {
            let kernel = DampedOscillator::new(1.7, quality);
            let measure = spectral_measure(&kernel, 1).unwrap();
            let (frequencies, variances) = measure.draw(20_000, &mut Pcg64::seed_from_u64(3)).unwrap();
            for r in [0.2, 0.9, 1.6] {
                let found: f64 = (0..20_000).map(|j| variances[j] * (r * frequencies[(0, j)]).cos()).sum();
                let value: f64 = kernel.eval(&[0.0], &[r]).unwrap();
                // 4 standard deviations of a mean of cosines.
                assert!((found - value).abs() < 4.0 / 20_000f64.sqrt(), "{quality} {r}: {found}, {value}");
            }
            assert!(spectral_measure(&kernel, 2).is_err());
        }
    }
}
