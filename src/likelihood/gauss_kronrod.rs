//! Integrals over an interval by adaptive quadrature.

/// Nodes of the rule of 15 points on (−1, 1), from the outermost to 0, with their weights, and those of the rule of 7
/// points within it (0 where it has no node).
///
/// Kronrod (1965), *Nodes and Weights of Quadrature Formulas*; Piessens et al. (1983), *QUADPACK*.
#[rustfmt::skip]
const RULE: [(f64, f64, f64); 8] = [
    (0.991_455_371_120_812_6, 0.022_935_322_010_529_224, 0.0),
    (0.949_107_912_342_758_5, 0.063_092_092_629_978_55, 0.129_484_966_168_869_7),
    (0.864_864_423_359_769_1, 0.104_790_010_322_250_18, 0.0),
    (0.741_531_185_599_394_4, 0.140_653_259_715_525_92, 0.279_705_391_489_276_67),
    (0.586_087_235_467_691_1, 0.169_004_726_639_267_9, 0.0),
    (0.405_845_151_377_397_2, 0.190_350_578_064_785_4, 0.381_830_050_505_118_9),
    (0.207_784_955_007_898_47, 0.204_432_940_075_298_9, 0.0),
    (0.0, 0.209_482_141_084_727_83, 0.417_959_183_673_469_4),
];

/// An interval, its integral by 15 points, and how far off that by 7 of them is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    from: f64,
    to: f64,
    pub(super) value: f64,
    difference: f64,
}

impl Panel {
    pub(super) fn new(g: &impl Fn(f64) -> f64, from: f64, to: f64) -> Self {
        let (middle, half) = (0.5 * (from + to), 0.5 * (to - from));
        let (mut fine, mut coarse) = (0.0, 0.0);
        for (node, weight, of_seven) in RULE {
            let pair = if node == 0.0 { g(middle) } else { g(middle - half * node) + g(middle + half * node) };
            fine += weight * pair;
            coarse += of_seven * pair;
        }
        Self { from, to, value: half * fine, difference: half * f64::abs(fine - coarse) }
    }

    /// The integral, halved until rules of 7 and of 15 points differ by at most so much on each part, or so many halvings
    /// are spent: they do not help where values have lost their digits. The error of 15 points is about the square of the
    /// difference.
    pub(super) fn refined(&self, g: &impl Fn(f64) -> f64, tolerance: f64, spare: &mut usize) -> f64 {
        if *spare > 0 && self.difference > tolerance {
            *spare -= 1;
            let middle = 0.5 * (self.from + self.to);
            let left = Self::new(g, self.from, middle).refined(g, tolerance, spare);
            return left + Self::new(g, middle, self.to).refined(g, tolerance, spare);
        }
        self.value
    }
}
