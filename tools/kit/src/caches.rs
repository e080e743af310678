//! What is kept in memory to save work: counted honestly, and voided on request.
//!
//! There is one place: callers whose rights were computed, each with the list of tools that was rendered for it. Raising the
//! rights epoch voids all of it in every process at its next call, and only once the transaction that raises it is
//! committed; so a dry run voids nothing.

use crate::access::{bump_epoch, rights_epoch};
use crate::ctx::Ctx;
use crate::error::Result;

/// What this process keeps that is still good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cached {
    /// Callers whose rights are known.
    pub rights: usize,
    /// Those of them for whom a list of tools was rendered.
    pub tool_lists: usize,
}

impl Ctx {
    /// What this process keeps in memory that is still good.
    pub async fn cached(&mut self) -> Result<Cached> {
        let epoch = rights_epoch(&mut self.tx).await?;
        Ok(self.bureau.principals.counted(epoch))
    }

    /// Voids everything that any process keeps in memory, from the commit of this call on.
    pub async fn void_caches(&mut self) -> Result<()> {
        bump_epoch(&mut self.tx).await
    }
}
