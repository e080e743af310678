//! What a company begins with.

use bureau_kit::prelude::*;

/// Gives a tenant what it begins with and lacks; what is there already stays as it is.
pub async fn seed(_: &mut Ctx) -> Result<()> {
    Ok(())
}
