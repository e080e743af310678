//! Calls inside a call, for batches.

use serde_json::{Map, Value};

use super::admit::admit;
use super::reserved::Reserved;
use super::run::guarded;
use super::{Call, Refusal};
use crate::ctx::Ctx;
use crate::db::Dialect;
use crate::error::{Error, Result};
use crate::guards::{Guard, stands};
use crate::tool::{BoxFuture, Danger};

impl Ctx {
    /// Carries out another tool inside this call, in a savepoint of its own: its failure takes back only itself.
    /// For batches, and for reads that show what another tool shows. The tool passes the same checks as a direct call.
    pub async fn nested(&mut self, name: &str, mut arguments: Map<String, Value>) -> Result<Value> {
        let bureau = self.bureau.clone();
        let mut call = Call {
            tool: name.to_owned(),
            arguments: std::mem::take(&mut arguments),
            shown: None,
            selection: self.selection.clone(),
            origin: self.origin.clone(),
            dialogue: self.dialogue.clone(),
        };
        let meant = bureau.meant(&self.principal, &mut call).map_err(|refusal| match refusal {
            Refusal::UnknownTool(text) => Error::invalid("/tool", text),
            Refusal::Error(error, _) => error,
        })?;
        let entry = meant.entry;
        let tool = &entry.tool;
        if tool.name == crate::batch::NAME {
            return Err(Error::invalid("/tool", "a batch cannot hold a batch"));
        }
        if stands(Guard::BatchAdmission) {
            admit(&self.principal, &self.selection, entry)?;
        }
        if tool.outside.is_some() {
            return Err(Error::impossible_state(format!(
                "{} cannot be part of a batch: it waits for a service outside. Call it by itself.",
                tool.name
            )));
        }
        if tool.writes() && !self.writes {
            return Err(Error::internal(format!("a read tried to carry out {}", tool.name)));
        }
        let reserved = Reserved::take(tool, &mut call.arguments)?;
        if reserved.dry_run || reserved.idempotency_key.is_some() {
            return Err(Error::validation(
                "dry_run and idempotency_key belong to the batch as a whole, not to a call in it.",
            ));
        }
        if tool.public && tool.writes() {
            return Err(Error::impossible_state(format!(
                "{} cannot be part of a batch: it needs no credential, and may act in another tenant. Call it by itself.",
                tool.name
            )));
        }
        if let Some(why) = tool.irreversible.filter(|_| self.writes) {
            return Err(Error::impossible_state(format!(
                "{} cannot be part of a batch, since a batch can be undone: {why}.",
                tool.name
            )));
        }
        let prepared = (tool.prepare)(call.arguments)?;
        self.destructive |= tool.danger() == Danger::Destructive;
        let (target, expected) = (self.target, self.expected_version);
        (self.target, self.expected_version) = (tool.target, reserved.expected_version);
        let (changes, effects) = (self.changes.len(), self.effects.len());
        // A read of SQLite has nothing to take back, and may not even say so.
        let is_step = self.writes || bureau.db.dialect() == Dialect::Postgres;
        if is_step {
            self.tx.script("SAVEPOINT bureau_step").await?;
        }
        let outcome = if self.writes {
            self.reading = bureau.accesses.reading(tool);
            let outcome = guarded(tool, prepared, self).await;
            let reading = self.reading.take().filter(|_| outcome.is_ok());
            bureau.accesses.note(self, reading);
            outcome
        } else {
            // Inside a read, it is that read which looks.
            guarded(tool, prepared, self).await
        };
        (self.target, self.expected_version) = (target, expected);
        match outcome {
            Ok(body) => {
                if is_step {
                    self.tx.script("RELEASE SAVEPOINT bureau_step").await?;
                }
                serde_json::from_slice(&meant.answer(body)?).map_err(Error::internal)
            }
            Err(error) => {
                if is_step {
                    self.tx.script("ROLLBACK TO SAVEPOINT bureau_step").await?;
                }
                self.changes.truncate(changes);
                self.effects.truncate(effects);
                Err(error)
            }
        }
    }

    /// Does work that is kept as a whole or not at all, whatever becomes of the rest of the call.
    pub async fn step<T>(
        &mut self,
        work: impl for<'a> FnOnce(&'a mut Self) -> BoxFuture<'a, Result<T>> + Send,
    ) -> Result<T> {
        let (changes, effects) = (self.changes.len(), self.effects.len());
        self.tx.script("SAVEPOINT bureau_whole").await?;
        let outcome = work(self).await;
        if outcome.is_err() {
            self.tx.script("ROLLBACK TO SAVEPOINT bureau_whole").await?;
            self.changes.truncate(changes);
            self.effects.truncate(effects);
        }
        self.tx.script("RELEASE SAVEPOINT bureau_whole").await?;
        outcome
    }
}
