//! Incomplete gamma and beta functions, at all sizes of their arguments.
//!
//! What they are multiplied by, xᵃ e⁻ˣ / Γ(1 + a) and xᵃ (1 − x)ᵇ / B(a, b), is formed as the exponential of how far x is from the
//! centre: differences of logarithms of gamma functions, as libraries take them, leave nine digits at counts of 10⁶.

use super::gauss_kronrod::Panel;
use super::special::{ln_gamma_rest, normal_density};
use super::tails::Tails;

/// From here on the incomplete gamma function is by an expansion whose work does not grow.
const LARGE: f64 = 1e4;

/// From here on the incomplete beta function is by quadrature, whose work does not grow either.
const LARGE_BETA: f64 = 1e8;

/// More terms than any argument needs that is not [large](LARGE).
const MOST_TERMS: u32 = 100_000;

/// r − 1 − log r, given δ = r − 1 too: all digits near 1, by log r = 2 artanh(δ/(2 + δ)).
fn excess(ratio: f64, delta: f64) -> f64 {
    if delta.abs() > 0.3 {
        return delta - ratio.ln();
    }
    let root = delta / (2.0 + delta);
    let square = root * root;
    let series = (1..=11).rev().fold(0.0, |sum, k| (sum + 1.0 / f64::from(2 * k + 1)) * square);
    root * (delta - 2.0 * series)
}

/// Shares of Γ(a) from below x and from above: P(a, x) and Q(a, x), for a > 0.
///
/// By the series and the continued fraction of Abramowitz & Stegun (1964), eq. 6.5.29 and 6.5.31, whose terms are all of one
/// sign; for large a by [`gamma_of_large`].
pub(super) fn gamma_tails(a: f64, x: f64) -> Tails {
    if x.is_nan() || a.is_nan() {
        return Tails::NAN;
    }
    if x <= 0.0 {
        return Tails::NONE;
    }
    if x == f64::INFINITY || a == 0.0 {
        return Tails::ALL;
    }
    let miss = x - a;
    if a > LARGE && miss.abs() < 0.3 * a {
        return gamma_of_large(a, miss / a);
    }
    // xᵃ e⁻ˣ / Γ(1 + a)
    let density = (-a * excess(x / a, miss / a) - ln_gamma_rest(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum) = (1.0, 1.0);
        for k in 1..MOST_TERMS {
            term *= x / (a + f64::from(k));
            sum += term;
            if term < 1e-17 * sum {
                break;
            }
        }
        return Tails::of_below((density * sum).min(1.0));
    }
    let fraction = fraction(x + 1.0 - a, |k| (-k * (k - a), x + 2.0 * k + 1.0 - a));
    Tails::of_above((density * a / fraction).min(1.0))
}

/// P and Q at x = a (1 + δ), near a: with η²/2 = δ − log(1 + δ) they are Φ(±η√a) and a series in 1/a, whose coefficients are
/// series in η. What is left out is below 1e-15 from [`LARGE`] on.
///
/// Temme (1979), "The asymptotic expansion of the incomplete gamma functions", *SIAM Journal on Mathematical Analysis*
/// 10(4), 757–766, <https://doi.org/10.1137/0510071>; DLMF 8.12.
fn gamma_of_large(a: f64, delta: f64) -> Tails {
    let eta = (2.0 * excess(1.0 + delta, delta)).sqrt().copysign(delta);
    let series = TEMME.iter().rev().fold(0.0, |sum, of_power| {
        sum / a + of_power.iter().rev().fold(0.0, |sum, coefficient| sum * eta + coefficient)
    });
    let z = eta * a.sqrt();
    let (normal, rest) = (Tails::normal(z), normal_density(z) / a.sqrt() * series);
    Tails { below: normal.below - rest, above: normal.above + rest }
}

/// Coefficients of a⁻ᵏ ηⁿ, from C₀ = 1/δ − 1/η and Cₖ = C′ₖ₋₁/η + (−1)ᵏ gₖ/δ, gₖ those of Stirling's series, in rational numbers.
const TEMME: [&[f64]; 4] = [
    &[
        -0.333_333_333_333_333_3,
        0.083_333_333_333_333_33,
        -0.014_814_814_814_814_815,
        0.001_157_407_407_407_407_3,
        0.000_352_733_686_067_019_4,
        -0.000_178_755_144_032_921_8,
        3.919_263_178_522_438e-5,
        -2.185_448_510_679_992e-6,
        -1.854_062_210_715_16e-6,
        8.296_711_340_953_087e-7,
        -1.766_595_273_682_607_8e-7,
        6.707_853_543_401_498e-9,
    ],
    &[
        -0.001_851_851_851_851_852,
        -0.003_472_222_222_222_222,
        0.002_645_502_645_502_645_4,
        -0.000_990_226_337_448_559_6,
        0.000_205_761_316_872_427_98,
        -4.018_775_720_164_609e-7,
        -1.809_855_033_448_997_7e-5,
    ],
    &[0.004_133_597_883_597_883, -0.002_681_327_160_493_827_3, 0.000_771_604_938_271_604_9],
    &[0.000_649_434_156_378_600_8],
];

/// b₀ + a₁/(b₁ + a₂/(b₂ + …)) by the method of Lentz, from aₖ and bₖ.
fn fraction(first: f64, terms: impl Fn(f64) -> (f64, f64)) -> f64 {
    const TINY: f64 = 1e-300;
    let nonzero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut value = nonzero(first);
    let (mut c, mut d) = (value, 0.0);
    for k in 1..MOST_TERMS {
        let (a, b) = terms(f64::from(k));
        d = nonzero(b + a * d).recip();
        c = nonzero(b + a / c);
        value *= c * d;
        if (c * d - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    value
}

/// The shares of a density about 0 on both sides of a point, the one beyond it by quadrature: to nine deviations further.
fn beyond(density: impl Fn(f64) -> f64, from: f64, deviation: f64) -> Tails {
    const ENDS: [f64; 5] = [0.0, 1.0, 2.5, 5.0, 9.0];
    let outwards = |distance: f64| density(if from > 0.0 { from + distance } else { from - distance });
    let panel = |ends: &[f64]| Panel::new(&outwards, deviation * ends[0], deviation * ends[1]);
    let panels: Vec<Panel> = ENDS.windows(2).map(panel).collect();
    let rough: f64 = panels.iter().map(|panel| panel.value).sum();
    let mut spare = 60;
    let share: f64 = panels.iter().map(|panel| panel.refined(&outwards, 1e-8 * rough, &mut spare)).sum();
    if from > 0.0 { Tails::of_above(share.min(1.0)) } else { Tails::of_below(share.min(1.0)) }
}

/// Shares of B(a, b), for a and b ≥ 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct BetaTails {
    a: f64,
    b: f64,
    /// log of B(a, b)⁻¹ (a + b)/ab, without the powers that belong to x.
    rest: f64,
}

impl BetaTails {
    pub(super) fn new(a: f64, b: f64) -> Self {
        Self { a, b, rest: ln_gamma_rest(a + b) - ln_gamma_rest(a) - ln_gamma_rest(b) }
    }

    /// The shares from below x and from above, I_x(a, b) and I_y(b, a), with y = 1 − x given too: where x is near 1, all
    /// digits are in y.
    ///
    /// By the continued fraction of DiDonato & Morris (1992), "Algorithm 708: Significant digit computation of the incomplete beta
    /// function ratios", *ACM Transactions on Mathematical Software* 18(3), 360–373, eq. 9, on the side where it converges
    /// fast; for large a and b by quadrature.
    pub(super) fn at(&self, x: f64, y: f64) -> Tails {
        let Self { a, b, rest } = *self;
        if (x + y + a + b).is_nan() {
            return Tails::NAN;
        }
        if x <= 0.0 || b == 0.0 {
            return Tails::NONE;
        }
        if y <= 0.0 || a == 0.0 {
            return Tails::ALL;
        }
        let total = a + b;
        // (a + b) x − a
        let miss = x * b - y * a;
        let exponent = |miss: f64, x_ratio: f64, y_ratio: f64| {
            rest - a * excess(x_ratio, miss / a) - b * excess(y_ratio, -miss / b)
        };
        if a.min(b) > LARGE_BETA && miss.abs() < 0.3 * a.min(b) {
            let density = |miss: f64| {
                let (x_ratio, y_ratio) = (1.0 + miss / a, 1.0 - miss / b);
                exponent(miss, x_ratio, y_ratio).exp() / (x_ratio * y_ratio)
            };
            return beyond(density, miss, (a * (b / total)).sqrt());
        }
        // xᵃ yᵇ / B(a, b), but for ab/(a + b)
        let density = exponent(miss, x * (total / a), y * (total / b)).exp();
        if x * (total + 2.0) < a + 1.0 {
            Tails::of_below((density * a * (b / total) / beta_fraction(a, b, x, y, -miss)).min(1.0))
        } else {
            Tails::of_above((density * a * (b / total) / beta_fraction(b, a, y, x, miss)).min(1.0))
        }
    }
}

/// What xᵃ yᵇ / B(a, b) is divided by for I_x(a, b), from λ = a − (a + b) x too, in which nothing is to cancel.
fn beta_fraction(a: f64, b: f64, x: f64, y: f64, lambda: f64) -> f64 {
    let denominator = |n: f64| {
        n + n * (b - n) * x / (a + 2.0 * n - 1.0) + (a + n) / (a + 2.0 * n + 1.0) * (lambda + 1.0 + n * (1.0 + y))
    };
    fraction(a / (a + 1.0) * (lambda + 1.0), |n| {
        let ends = (a + n - 1.0) / (a + 2.0 * n - 1.0) * ((a + b + n - 1.0) / (a + 2.0 * n - 1.0));
        (ends * x * (n * (b - n) * x), denominator(n))
    })
}

/// Those of Student's t with ν degrees of freedom.
#[derive(Clone, Copy, Debug)]
pub(super) struct StudentTails {
    nu: f64,
    beta: BetaTails,
}

impl StudentTails {
    pub(super) fn new(nu: f64) -> Self {
        Self { nu, beta: BetaTails::new(0.5 * nu, 0.5) }
    }

    pub(super) fn at(&self, t: f64) -> Tails {
        let nu = self.nu;
        let below = if nu > LARGE {
            self.nearly_normal(t.abs())
        } else {
            // ν/(ν + t²) and t²/(ν + t²), which are 0 and 1 where t² overflows.
            let ratio = t * t / nu;
            let tail = 0.5 * self.beta.at(1.0 / (1.0 + ratio), 1.0 / (1.0 + 1.0 / ratio)).below;
            Tails::of_below(tail)
        };
        if t > 0.0 { below.mirrored() } else { below }
    }

    /// P(T ≤ −t) for many degrees of freedom: that of a normal variable, with a correction whose next term is below 1e-13.
    ///
    /// Hill (1970), "Algorithm 395: Student's t-distribution", *Communications of the ACM* 13(10), 617–619.
    fn nearly_normal(&self, t: f64) -> Tails {
        let a = self.nu - 0.5;
        let square = a * (t * (t / self.nu)).ln_1p();
        let (z, b) = (square.sqrt(), 48.0 * a * a);
        let first = (square + 3.0) / b;
        let second = (((4.0 * square + 33.0) * square + 240.0) * square + 855.0)
            / (10.0 * b * (b + 0.8 * square * square + 100.0));
        Tails::normal(-z * (1.0 + first - second))
    }
}

#[cfg(test)]
#[allow(clippy::unreadable_literal, clippy::excessive_precision)]
mod tests {
    use super::*;

    /// a, x, P(a, x) and Q(a, x), from integrals with 40 digits.
    #[rustfmt::skip]
    const GAMMA: [[f64; 4]; 34] = [
        [0.001, 1e-05, 0.9891230446957827, 0.01087695530421733],
        [0.001, 0.010486832980505137, 0.9960162659978292, 0.00398373400217083],
        [0.001, 0.19073665961010275, 0.9987384843552237, 0.0012615156447762367],
        [0.5, 0.005, 0.07965567455405796, 0.920344325445942],
        [0.5, 0.7121320343559643, 0.767297168598534, 0.232702831401466],
        [0.5, 4.742640687119285, 0.997928731546161, 0.0020712684538389528],
        [3.5, 0.035, 6.710885323011909e-07, 0.9999993289114677],
        [3.5, 1.6291713066130293, 0.13988043485649118, 0.8601195651435088],
        [3.5, 4.061248608016091, 0.6780836633251816, 0.32191633667481845],
        [3.5, 14.724972160321824, 0.9998802509623849, 0.00011974903761509253],
        [50.0, 7.573593128807149, 1.8298681608465524e-24, 1.0],
        [50.0, 42.928932188134524, 0.15775804281463343, 0.8422419571853665],
        [50.0, 52.121320343559645, 0.6341474088892147, 0.3658525911107852],
        [50.0, 92.42640687119285, 0.9999994782807551, 5.217192449523276e-07],
        [199.5, 114.75331864904679, 5.076245029661815e-13, 0.9999999999994924],
        [199.5, 185.37555310817447, 0.1584423639185276, 0.8415576360814724],
        [199.5, 203.73733406754766, 0.6260702516633208, 0.3739297483366793],
        [199.5, 284.2466813509532, 0.9999999526539463, 4.7346053719847456e-08],
        [1001.0, 811.1684957653235, 6.949222518078558e-11, 0.9999999999305078],
        [1001.0, 969.3614159608873, 0.15861403848260128, 0.8413859615173988],
        [1001.0, 1010.4915752117338, 0.6215615708592688, 0.3784384291407313],
        [1001.0, 1190.8315042346765, 0.9999999927852771, 7.214722985013669e-09],
        [30000.5, 28961.26085524072, 6.444038721742439e-10, 0.9999999993555961],
        [30000.5, 29827.293475873452, 0.15865390412935573, 0.8413460958706442],
        [30000.5, 30052.461957237963, 0.6185791251304268, 0.38142087486957316],
        [30000.5, 31039.73914475928, 0.9999999985218329, 1.4781671820123066e-09],
        [1000000.0, 994000.0, 9.178900262302024e-10, 0.99999999908211],
        [1000000.0, 999000.0, 0.15865521357430365, 0.8413447864256963],
        [1000000.0, 1000300.0, 0.6180271033880081, 0.38197289661199185],
        [1000000.0, 1006000.0, 0.9999999989402603, 1.0597397352843812e-09],
        [1000000000.0, 999810263.3403898, 9.843482805854135e-10, 0.9999999990156517],
        [1000000000.0, 999968377.2233983, 0.15865525389121662, 0.8413447461087834],
        [1000000000.0, 1000009486.8329805, 0.6179150805469263, 0.3820849194530736],
        [1000000000.0, 1000189736.6596102, 0.9999999990111685, 9.888314630939455e-10],
    ];

    /// a, b, x, 1 − x, I_x(a, b) and I_(1−x)(b, a), from integrals with 40 digits.
    #[rustfmt::skip]
    const BETA: [[f64; 6]; 36] = [
        [0.5, 0.5, 0.0024726231566347743, 0.9975273768433652, 0.03166928263726925, 0.9683307173627308],
        [0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
        [0.5, 0.5, 0.9820137900379085, 0.01798620996209155, 0.9143631844053802, 0.08563681559461982],
        [3.3, 1.0, 0.09703709772328184, 0.9029629022767182, 0.00045383160384593113, 0.9995461683961541],
        [3.3, 1.0, 0.7674418604651163, 0.23255813953488372, 0.4174938651922981, 0.5825061348077019],
        [3.3, 1.0, 0.9700241678133742, 0.02997583218662576, 0.9044455587152533, 0.09555444128474663],
        [3.3, 7.0, 0.05979185675333671, 0.9402081432466632, 0.007798799280910124, 0.9922012007190899],
        [3.3, 7.0, 0.3203883495145631, 0.6796116504854369, 0.5322944334882785, 0.46770556651172146],
        [3.3, 7.0, 0.6418742891557686, 0.3581257108442314, 0.9830591624064673, 0.016940837593532685],
        [3.3, 10000.0, 6.326367280282096e-05, 0.9999367363271972, 0.01545116595121256, 0.9845488340487875],
        [3.3, 10000.0, 0.0003298911359251447, 0.9996701088640748, 0.5732057688732813, 0.4267942311267187],
        [3.3, 10000.0, 0.0009915268669492753, 0.9990084731330507, 0.9954703376713998, 0.004529662328600246],
        [3.3, 1000001.0, 6.328464021314865e-07, 0.9999993671535978, 0.015459350520637375, 0.9845406494793626],
        [3.3, 1000001.0, 3.2999858100610166e-06, 0.9999967000141899, 0.5732407441237672, 0.4267592558762327],
        [3.3, 1000001.0, 9.923216641183865e-06, 0.9999900767833588, 0.995477357774212, 0.004522642225787977],
        [0.3, 1000001.0, 1.254271689162154e-09, 0.9999999987457283, 0.1500968625787862, 0.8499031374212138],
        [0.3, 1000001.0, 2.99999610000507e-07, 0.99999970000039, 0.7269572574286896, 0.27304274257131045],
        [0.3, 1000001.0, 1.1559399327803232e-05, 0.9999884406006722, 0.9999994554168103, 5.445831896465524e-07],
        [1000.0, 2000.0, 0.3080318629770142, 0.6919681370229858, 0.0014627326080892493, 0.9985372673919107],
        [1000.0, 2000.0, 0.3333333333333333, 0.6666666666666667, 0.5017168616146443, 0.4982831383853557],
        [1000.0, 2000.0, 0.35076289339395567, 0.6492371066060443, 0.9779187194067764, 0.022081280593223583],
        [1000000.0, 30.0, 0.9999481229613757, 5.187703862426937e-05, 0.00039165076843542305, 0.9996083492315646],
        [1000000.0, 30.0, 0.999970000899973, 2.999910002699919e-05, 0.4757180756053324, 0.5242819243946676],
        [1000000.0, 30.0, 0.9999791777378436, 2.0822262156378103e-05, 0.9658277524446904, 0.034172247555309544],
        [1000000.0, 1000000.0, 0.4989393414192076, 0.5010606585807924, 0.0013499046794115362, 0.9986500953205885],
        [1000000.0, 1000000.0, 0.5, 0.5, 0.5, 0.5],
        [1000000.0, 1000000.0, 0.5007071063097824, 0.49929289369021757, 0.9772498365570901, 0.022750163442909876],
        [1000000000.0, 100000.0, 0.9998990569450817, 0.00010094305491823523, 0.001324401379384517, 0.9986755986206155],
        [1000000000.0, 100000.0, 0.9999000099990001, 9.999000099990002e-05, 0.4995795409642092, 0.5004204590357908],
        [1000000000.0, 100000.0, 0.9999006403644826, 9.935963551745768e-05, 0.9770787090171862, 0.022921290982813813],
        [500000000000.0, 0.5, 0.9999999999304087, 6.959137846594639e-11, 7.295509370882442e-17, 0.9999999999999999],
        [500000000000.0, 0.5, 0.999999999999, 9.99999999999e-13, 0.31731050786315607, 0.6826894921368439],
        [500000000000.0, 0.5, 0.9999999999999409, 5.910574656186915e-14, 0.8079149678626711, 0.19208503213732886],
        [50.0, 0.5, 0.5845230467940195, 0.4154769532059805, 2.666013846047309e-13, 0.9999999999997334],
        [50.0, 0.5, 0.9900990099009901, 0.009900990099009901, 0.31972415578412333, 0.6802758442158766],
        [50.0, 0.5, 0.9994175614519094, 0.0005824385480905948, 0.8097332661181477, 0.19026673388185228],
    ];

    #[track_caller]
    fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance * expected.abs(), "{what}: {found:e} is not {expected:e}");
    }

    #[test]
    fn excess_keeps_its_digits() {
        for delta in [1e-9f64, -1e-6, 0.01, -0.299, 0.299] {
            // δ²/2 − δ³/3 + …
            let series: f64 = (2..200).rev().map(|k| (-delta).powi(k) / f64::from(k)).sum();
            close("series", excess(1.0 + delta, delta), series, 1e-15);
        }
        close("ends", excess(1.3, 0.3), 0.3 - 1.3f64.ln(), 1e-15);
        close("far", excess(1e-300, -1.0), -1.0 + 300.0 * 10f64.ln(), 1e-15);
    }

    /// Against closed forms: exponential, half-integer and whole shapes. Of xᵃ with log xᵃ = 700 the exponential loses 2e-13.
    #[test]
    fn gamma_functions_in_closed_form() {
        for x in [1e-300, 1e-9, 0.3, 1.0, 2.5, 40.0, 700.0] {
            let found = gamma_tails(1.0, x);
            close("P(1, x)", found.below, -f64::exp_m1(-x), 2e-13);
            close("Q(1, x)", found.above, (-x).exp(), 2e-13);
            let found = gamma_tails(0.5, x);
            close("P(½, x)", found.below, libm::erf(x.sqrt()), 2e-13);
            close("Q(½, x)", found.above, libm::erfc(x.sqrt()), 2e-13);
            // Q(5, x) = e⁻ˣ Σ xᵏ/k!
            let sum = 1.0 + x * (1.0 + x / 2.0 * (1.0 + x / 3.0 * (1.0 + x / 4.0)));
            close("Q(5, x)", gamma_tails(5.0, x).above, (-x).exp() * sum, 2e-13);
        }
        // xᵃ/Γ(1 + a) for x → 0.
        let small = (3.3 * 1e-9f64.ln() - libm::lgamma(4.3)).exp();
        close("small", gamma_tails(3.3, 1e-9).below, small, 1e-8);
        let ends = [gamma_tails(2.0, 0.0), gamma_tails(2.0, f64::INFINITY), gamma_tails(0.0, 1.0)];
        assert_eq!(ends, [Tails::NONE, Tails::ALL, Tails::ALL]);
        assert!(gamma_tails(2.0, f64::NAN).below.is_nan());
    }

    /// The larger of two tails within rounding, and the smaller too but for what is below a ten-thousandth of a hundredth of the
    /// other side of a small shape.
    #[test]
    fn functions_at_all_sizes() {
        let check = |what: String, found: Tails, below: f64, above: f64, tolerance: f64| {
            // 1 minus a number that is rounded.
            let of = |expected: f64| tolerance * expected + 2.0 * f64::EPSILON;
            assert!((found.below - below).abs() < of(below), "{what}: {found:?} {below:e}");
            assert!((found.above - above).abs() < of(above), "{what}: {found:?} {above:e}");
        };
        for [a, x, below, above] in GAMMA {
            // x is rounded: in deviations, by ε√a.
            let tolerance = 3e-13 + 10.0 * f64::EPSILON * a.sqrt();
            check(format!("{a} {x}"), gamma_tails(a, x), below, above, tolerance);
        }
        for [a, b, x, y, below, above] in BETA {
            let tolerance = 3e-13 + 10.0 * f64::EPSILON * a.min(b).sqrt();
            check(format!("{a} {b} {x}"), BetaTails::new(a, b).at(x, y), below, above, tolerance);
            check(format!("{b} {a} {y}"), BetaTails::new(b, a).at(y, x), above, below, tolerance);
        }
    }

    #[test]
    fn beta_functions_in_closed_form() {
        for x in [1e-200f64, 1e-5, 0.2, 0.5, 0.9, 1.0 - 1e-9] {
            // I_x(a, 1) = xᵃ, I_x(½, ½) = 2 arcsin(√x)/π, I_x(2, 3) = x² (6 − 8x + 3x²)
            close("power", BetaTails::new(2.5, 1.0).at(x, 1.0 - x).below, x.powf(2.5), 2e-13);
            let arc = |x: f64| 2.0 * x.sqrt().asin() / std::f64::consts::PI;
            let found = BetaTails::new(0.5, 0.5).at(x, 1.0 - x);
            close("arcsine", found.below.min(found.above), arc(x.min(1.0 - x)), 2e-13);
            close("cubic", BetaTails::new(2.0, 3.0).at(x, 1.0 - x).below, x * x * (6.0 - 8.0 * x + 3.0 * x * x), 3e-13);
        }
        let beta = BetaTails::new(2.0, 3.0);
        assert_eq!([beta.at(0.0, 1.0), beta.at(1.0, 0.0)], [Tails::NONE, Tails::ALL]);
        assert_eq!(
            [BetaTails::new(0.0, 2.0).at(0.1, 0.9), BetaTails::new(2.0, 0.0).at(0.1, 0.9)],
            [Tails::ALL, Tails::NONE]
        );
        assert!(beta.at(f64::NAN, 0.5).below.is_nan());
    }

    /// Against closed forms for 1, 2 and 4 degrees of freedom; both ways to many; and the normal limit.
    #[test]
    fn student_in_closed_form() {
        for t in [-1e6f64, -30.0, -2.0, -1e-3, 0.0, 1e-9, 0.4, 3.0, 50.0, 1e5] {
            let one =
                if t < 0.0 { (-1.0 / t).atan() } else { std::f64::consts::FRAC_PI_2 + t.atan() } / std::f64::consts::PI;
            close("1", StudentTails::new(1.0).at(t).below, one, 1e-14);
            // ½ + t/(2√(2 + t²)), without the difference in the lower tail
            let root = (2.0 + t * t).sqrt();
            let two = if t < 0.0 { 1.0 / (root * (root - t)) } else { 0.5 + 0.5 * t / root };
            close("2", StudentTails::new(2.0).at(t).below, two, 1e-14);
            close("many", StudentTails::new(1e16).at(t).above, Tails::normal(t).above, 1e-13);
        }
        for t in [-8.0, -3.0, -0.5, 0.0, 1.0, 5.0] {
            let (by_beta, by_normal) = (StudentTails::new(LARGE).at(t), StudentTails::new(LARGE.next_up()).at(t));
            close("both ways", by_normal.below, by_beta.below, 3e-12);
        }
        assert_eq!(StudentTails::new(3.0).at(1e200), Tails::ALL);
        assert!(StudentTails::new(1e-3).at(0.3).below > 0.5);
    }

    /// Both sides of where the fractions end.
    #[test]
    fn all_sizes_meet() {
        for z in [-6.0, -2.0, -0.3, 0.3, 2.0, 6.0] {
            let x = LARGE + z * LARGE.sqrt();
            let (fraction, series) = (gamma_tails(LARGE, x), gamma_tails(LARGE.next_up(), x));
            close("gamma", series.below, fraction.below, 1e-11);
            close("gamma", series.above, fraction.above, 1e-11);
            let (a, b) = (LARGE_BETA, 3.0 * LARGE_BETA);
            let x = 0.25 + z * (0.25f64 * 0.75 / (4.0 * LARGE_BETA)).sqrt();
            let fraction = BetaTails::new(a, b).at(x, 1.0 - x);
            let quadrature = BetaTails::new(a.next_up(), b).at(x, 1.0 - x);
            close("beta", quadrature.below, fraction.below, 1e-10);
            close("beta", quadrature.above, fraction.above, 1e-10);
        }
        // As large as they come: halves, and ends.
        assert!((gamma_tails(1e300, 1e300).below - 0.5).abs() < 1e-12);
        assert_eq!((gamma_tails(1e300, 1.0).below, gamma_tails(1.0, 1e300).above), (0.0, 0.0));
        assert!((BetaTails::new(1e200, 1e200).at(0.5, 0.5).below - 0.5).abs() < 1e-12);
    }
}
