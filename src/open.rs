//! From a `--database` option to a running set of tools; the first start on an empty database founds a company.

use std::sync::Arc;

use bureau_identity::founding::{self, Founded, Founding};
use bureau_kit::MIGRATIONS;
use bureau_kit::ctx::Ctx;
use bureau_kit::db::{Db, Location};
use bureau_kit::error::{Error, Result};
use bureau_kit::gate::Bureau;
use bureau_kit::id::Ids;
use bureau_kit::time::Clock;
use bureau_kit::tool::BoxFuture;
use bureau_kit::vault::KeySource;

use crate::catalog;

/// An open database with its tools.
#[derive(Debug)]
pub struct Opened {
    /// The tools.
    pub bureau: Arc<Bureau>,
    /// The company that this start founded, when the database was empty. Its token is shown this once.
    pub founded: Option<Founded>,
}

/// Opens a database, brings it to the newest schema, and founds a company when there is none.
pub async fn open(location: &Location) -> Result<Opened> {
    let opened = open_with(location, Clock::System, Ids::system()).await?;
    opened.bureau.keep_access_log();
    opened.bureau.keep_uses();
    Ok(opened)
}

/// The same with a clock and ids of the caller's choice, for tests. Nothing runs beside the calls: the log of reads is written
/// when somebody looks into it, or asks for it.
pub async fn open_with(location: &Location, clock: Clock, ids: Ids) -> Result<Opened> {
    let db = Db::open(location, MIGRATIONS).await?;
    let registry = catalog::registry().map_err(Error::internal)?;
    let bureau = Bureau::new(registry, db, clock, ids);
    if let Location::Sqlite(path) = location {
        // Not in the database, and so in no copy of it.
        bureau.vault.configure(KeySource::File(path.with_file_name("secret.key")));
    }
    bureau.installation.seed_by(seed);
    let founded = founding::found(&bureau, request("My company", "owner@example.com", "Owner")).await?;
    Ok(Opened { bureau, founded })
}

/// Founds one more company, with its owner and everything that tools expect to be there.
pub async fn found(bureau: &Arc<Bureau>, tenant: &str, owner_email: &str, owner_name: &str) -> Result<Founded> {
    founding::found_tenant(bureau, request(tenant, owner_email, owner_name)).await
}

fn request(tenant: &str, owner_email: &str, owner_name: &str) -> Founding {
    Founding {
        tenant_name: tenant.to_owned(),
        owner_email: owner_email.to_owned(),
        owner_name: owner_name.to_owned(),
        seed,
    }
}

/// What every company begins with. Adds only what is missing, so that older companies catch up by it too.
fn seed(ctx: &mut Ctx) -> BoxFuture<'_, Result<()>> {
    Box::pin(async move {
        bureau_work::seed(ctx).await?;
        bureau_crm::seed(ctx).await
    })
}
