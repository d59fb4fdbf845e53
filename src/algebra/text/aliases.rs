//! What else kernels are called, elsewhere and in the literature: for errors that suggest the name that text knows.

/// Other names, in lower case and without `_`, each with the one that text knows.
const ALIASES: &[(&[&str], &str)] = &[
    (
        &["se", "sqexp", "squaredexponential", "exponentiatedquadratic", "expquad", "gaussian", "radialbasisfunction"],
        "rbf",
    ),
    (
        &["exponential", "absoluteexponential", "laplacian", "laplace", "ou", "ornsteinuhlenbeck", "matern05"],
        "matern12",
    ),
    (&["matern15"], "matern32"),
    (&["matern25"], "matern52"),
    (&["rq", "ratquad"], "rational_quadratic"),
    (&["imq"], "inverse_multiquadric"),
    (&["per", "mackay", "expsinesquared", "expsine2", "standardperiodic"], "periodic"),
    (&["quasiperiodic"], "locally_periodic"),
    (&["cos"], "cosine"),
    (&["sho", "shoterm", "dampedharmonicoscillator", "celerite"], "damped_oscillator"),
    (&["sm"], "spectral_mixture"),
    (&["powerexponential", "poweredexponential", "powexp"], "gamma_exponential"),
    (&["wendland"], "piecewise_polynomial"),
    (&["lin", "dotproduct"], "linear"),
    (&["poly"], "polynomial"),
    (&["const", "bias"], "constant"),
    (&["noise", "whitenoise", "nugget"], "white"),
    (&["arccos"], "arc_cosine"),
    (&["nn", "arcsine", "arcsin"], "neural_network"),
    (&["sigmoid"], "tanh"),
    (&["wiener", "randomwalk"], "brownian"),
    (&["wienervelocity", "integratedwiener", "integratedwienerprocess", "cubicspline"], "integrated_brownian"),
    (&["rff"], "random_fourier_features"),
    (&["coregion", "coregionalisation"], "coregionalization"),
    (&["overlap", "hamming"], "categorical"),
    (&["anova"], "additive"),
    (&["activedims", "select"], "on"),
];

/// In lower case, without `_`, and without the word "kernel" at the end.
fn plain(name: &str) -> String {
    let letters: String = name.chars().filter(|&c| c != '_').flat_map(char::to_lowercase).collect();
    letters.strip_suffix("kernel").map_or(letters.clone(), str::to_owned)
}

/// The name among these that differs in case and `_` alone, or else the one that this is another name for.
pub(super) fn known_as<'n>(name: &str, names: &'n [String]) -> Option<&'n String> {
    let wanted = plain(name);
    let of_alias = || ALIASES.iter().find(|(others, _)| others.contains(&wanted.as_str())).map(|(_, known)| *known);
    let same = names.iter().find(|known| plain(known) == wanted);
    same.or_else(|| of_alias().and_then(|alias| names.iter().find(|known| *known == alias)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algebra::registry::NAMES;

    #[test]
    fn every_alias_is_of_a_name_and_no_name_itself() {
        for (others, known) in ALIASES {
            assert!(NAMES.iter().any(|(name, _)| name == known), "{known}");
            for other in *others {
                assert_eq!(plain(other), **other);
                assert!(NAMES.iter().all(|(name, _)| plain(name) != **other), "{other} is a name");
            }
        }
    }

    #[test]
    fn names_are_found() {
        let names: Vec<String> = NAMES.iter().map(|(name, _)| (*name).to_owned()).collect();
        for (written, expected) in [
            ("RBF", "rbf"),
            ("se", "rbf"),
            ("SquaredExponential", "rbf"),
            ("squared_exponential", "rbf"),
            ("ExpQuad", "rbf"),
            ("RBFKernel", "rbf"),
            ("exponential", "matern12"),
            ("Matern32", "matern32"),
            ("matern_32", "matern32"),
            ("Matern_5_2", "matern52"),
            ("matern_2_5", "matern52"),
            ("RationalQuadratic", "rational_quadratic"),
            ("WhiteKernel", "white"),
            ("ChangePoint", "change_point"),
        ] {
            assert_eq!(known_as(written, &names).map(String::as_str), Some(expected), "{written}");
        }
        assert_eq!(known_as("frobnicate", &names), None);
    }
}
