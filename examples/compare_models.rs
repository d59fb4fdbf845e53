//! Five models through one function: exact, collapsed, variational, batch and intrinsic coregionalization.
//!
//! `cargo run --release --example compare_models`
//!
//! Two noisy waves that move together, at 80 points; every fourth is held out. The single-output models learn the first wave,
//! the other two both. Each is fitted and asked in the same few lines, whatever it is; the priors are asked as well.

use std::error::Error;

use mercer::data::metrics::{nlpd, rmse};
use mercer::data::rows;
use mercer::gp::{BatchGp, ExactGp, IcmGp, Sgpr, Svgp};
use mercer::likelihood::Gaussian;
use mercer::optim::{Lbfgs, Minimizer};
use mercer::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_pcg::Pcg64;

/// What a model is judged by.
struct Row {
    name: &'static str,
    objective: f64,
    rmse: f64,
    nlpd: f64,
}

/// Fits a model, and asks it about the first output at points that it has not seen.
fn learn<M>(
    name: &'static str,
    mut model: M,
    data: &Data<f64>,
    held_out: &Data<f64>,
) -> mercer::Result<(Row, Box<dyn Predict<f64>>)>
where
    M: Model<Data<f64>> + Clone,
    M::Posterior: Predict<f64> + 'static,
{
    let search: &dyn Minimizer = &Lbfgs { max_steps: 1000, ..Lbfgs::default() };
    model.fit(data, search)?;
    let posterior = model.condition(data)?;
    let seen = posterior.predict_observations(held_out.x())?;
    let (truth, mean) = (held_out.y().col(0).iter().copied().collect::<Vec<_>>(), seen.mean.col_as_slice(0));
    let row = Row {
        name,
        objective: model.objective(data)?.value(),
        rmse: rmse(&truth, mean)?,
        nlpd: nlpd(&truth, mean, seen.variance.col_as_slice(0))?,
    };
    Ok((row, Box::new(posterior)))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut rng = Pcg64::seed_from_u64(1);
    let x = Mat::from_fn(80, 1, |row, _| 0.1 * row as f64);
    let wave = |x: f64| (1.3 * x).sin() + 0.3 * (4.0 * x).cos();
    let y = Mat::from_fn(80, 2, |row, output| {
        let noise: f64 = rng.sample(StandardNormal);
        [1.0, -0.6][output] * wave(x[(row, 0)]) + 0.1 * noise
    });
    let (kept, out): (Vec<usize>, Vec<usize>) = (0..80).partition(|row| row % 4 != 1);
    let some = |of: &[usize], outputs: usize| -> mercer::Result<Data<f64>> {
        Ok(Data::new(rows(x.as_ref(), of)?, rows(y.subcols(0, outputs), of)?))
    };
    let (one, two, held_out) = (some(&kept, 1)?, some(&kept, 2)?, some(&out, 2)?);

    let kernel = || 1.0 * Matern52::new(1.0);
    let z = Mat::from_fn(15, 1, |row, _| 0.55 * row as f64);
    let exact = ExactGp::new(kernel()).with_noise(0.1)?;
    let sparse = Sgpr::new(kernel(), z.as_ref())?.with_noise(0.1)?;
    let variational = Svgp::new(kernel(), z.as_ref())?.with_likelihood(Gaussian::new(0.1));
    let batch = BatchGp::new(kernel().batched(2)?).with_noise(0.1)?;
    let outputs = Coregionalization::new(mat![[1.0], [-0.5]], [0.1, 0.1]);
    let icm = IcmGp::new(Matern52::new(1.0), outputs).with_noise(&[0.1, 0.1])?;

    let mut all: Vec<Box<dyn Predict<f64>>> = vec![Box::new(exact.prior())];
    println!("{:<18}{:>12}{:>8}{:>8}", "", "objective", "RMSE", "NLPD");
    let learned = [
        learn("exact", exact, &one, &held_out)?,
        learn("collapsed", sparse, &one, &held_out)?,
        learn("variational", variational, &one, &held_out)?,
        learn("batch", batch, &two, &held_out)?,
        learn("coregionalized", icm, &two, &held_out)?,
    ];
    for (Row { name, objective, rmse, nlpd }, posterior) in learned {
        println!("{name:<18}{objective:>12.2}{rmse:>8.3}{nlpd:>8.3}");
        all.push(posterior);
    }
    let at = mat![[4.0]];
    let means = all.iter().map(|model| Ok(model.predict(at.as_ref())?.mean[(0, 0)]));
    let means = means.collect::<mercer::Result<Vec<f64>>>()?;
    println!("the first output at 4, by the prior and each posterior: {means:.3?}; the truth: {:.3}", wave(4.0));
    Ok(())
}
