//! A latent-variable model has outputs alone.
use mercer::gp::{Data, Gplvm};
use mercer::prelude::*;

fn main() -> mercer::Result<()> {
    let data = Data::new(mat![[0.0], [1.0]], [0.3, 1.0]);
    let _ = Gplvm::new(Rbf::new(1.0), mat![[0.0], [1.0]].as_ref())?.condition(&data);
    Ok(())
}
