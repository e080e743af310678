//! What a company begins with.

use bureau_kit::prelude::*;

use crate::{built_in_dictionary, lead_source, match_keys, pipeline};

/// Gives a tenant what it begins with and lacks; what is there already stays as it is.
pub async fn seed(ctx: &mut Ctx) -> Result<()> {
    built_in_dictionary::seed(ctx).await?;
    pipeline::seed(ctx).await?;
    lead_source::seed(ctx).await?;
    match_keys::complete(ctx).await
}
