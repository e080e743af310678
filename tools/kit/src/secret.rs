//! Keys that the processes of one server share and nobody else knows.

use crate::error::{Error, Result};
use crate::gate::Bureau;
use crate::id::fill_random;
use crate::sql::Sql;
use crate::value::Val;

/// Bytes of a key.
pub const SECRET_BYTES: usize = 32;

impl Bureau {
    /// The server's key of this name, made at its first use.
    pub async fn secret(&self, name: &'static str) -> Result<[u8; SECRET_BYTES]> {
        let find = || Sql::with("SELECT secret FROM server_secrets WHERE name = $1", [name.into()]);
        let mut tx = self.db.read().await?;
        let rows = tx.query(&find()).await;
        tx.commit().await?;
        if let Some(row) = rows?.first() {
            return key(row.get(0)?);
        }
        let mut fresh = [0_u8; SECRET_BYTES];
        fill_random(&mut fresh);
        let mut tx = self.db.write().await?;
        // Two processes may make it at once: the first one's counts.
        let insert = Sql::with(
            "INSERT INTO server_secrets (name, secret, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
            [name.into(), Val::Bytes(fresh.to_vec()), self.clock.now().into()],
        );
        let stored = match tx.execute(&insert).await {
            Ok(_) => tx.query(&find()).await,
            Err(error) => Err(error),
        };
        match stored {
            Ok(rows) => {
                tx.commit().await?;
                let row = rows.first().ok_or_else(|| Error::internal("a server secret was not stored"))?;
                key(row.get(0)?)
            }
            Err(error) => {
                tx.rollback().await?;
                Err(error)
            }
        }
    }
}

fn key(bytes: Vec<u8>) -> Result<[u8; SECRET_BYTES]> {
    bytes.try_into().map_err(|_| Error::internal("a server secret has a wrong length"))
}
