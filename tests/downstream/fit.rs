//! Ten lines of a program that fits an exact Gaussian process: what it costs to compile is what users wait for.
use mercer::gp::ExactGp;
use mercer::optim::Lbfgs;
use mercer::prelude::*;

fn main() -> mercer::Result<()> {
    let x = Mat::from_fn(30, 1, |row, _| 0.2 * row as f64);
    let y: Vec<f64> = (0..30).map(|row| (0.2 * row as f64).sin()).collect();
    let mut gp = ExactGp::new(1.0 * Rbf::new(1.0)).with_noise(0.1)?;
    let data = Data::new(&x, y);
    gp.fit(&data, &Lbfgs::default())?;
    let prediction = gp.condition(&data)?.predict(x.as_ref())?;
    println!("{} {:?}", gp.kernel(), prediction.mean);
    Ok(())
}
