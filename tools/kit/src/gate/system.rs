//! Work that is no caller's call.

use std::sync::Arc;

use uuid::Uuid;

use super::{Bureau, Origin, Selection};
use crate::ctx::Ctx;
use crate::dialogue::Dialogue;
use crate::error::{Error, Result};
use crate::rights::{Credential, Principal};
use crate::tool::BoxFuture;

impl Bureau {
    /// Does what is no caller's call: founding a tenant, filling a demonstration, making a token on the command line.
    ///
    /// It passes no right and leaves no action log, since it is no one's action and nothing takes it back. All cached
    /// rights are void afterwards. It cannot send anything out.
    pub async fn as_system<T>(
        self: &Arc<Self>,
        tenant_id: Uuid,
        organization: Option<Uuid>,
        label: &str,
        work: impl for<'a> FnOnce(&'a mut Ctx) -> BoxFuture<'a, Result<T>> + Send,
    ) -> Result<T> {
        let mut tx = self.db.write().await?;
        tx.enter(tenant_id).await?;
        let principal = Arc::new(Principal {
            features: vec!["*".to_owned()],
            organization_id: organization,
            ..Principal::plain(tenant_id, None, label, Credential::LocalOwner)
        });
        let mut ctx = Ctx {
            bureau: self.clone(),
            principal,
            selection: Selection::default(),
            origin: Origin { transport: "system", ..Origin::default() },
            dialogue: Dialogue::default(),
            destructive: false,
            now: self.clock.now(),
            tx,
            writes: true,
            is_public: false,
            target: None,
            expected_version: None,
            redoes: None,
            changes: Vec::new(),
            effects: Vec::new(),
            resent: false,
            steps: crate::derived::Steps::Whole,
            reading: None,
        };
        let outcome = match work(&mut ctx).await {
            Ok(_) if !ctx.effects.is_empty() => Err(Error::internal("work of the system tried to send something out")),
            outcome => outcome,
        };
        match outcome {
            Ok(done) => {
                crate::access::bump_epoch(&mut ctx.tx).await?;
                ctx.tx.commit().await?;
                self.committed.send_replace(());
                Ok(done)
            }
            Err(error) => {
                ctx.tx.rollback().await?;
                Err(error)
            }
        }
    }
}
