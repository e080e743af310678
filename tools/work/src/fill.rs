//! A database with many tasks, for measuring.

use bureau_kit::prelude::*;

use crate::statuses::TASK_STATUSES;
use crate::tasks::TASKS;

const VERBS: [&str; 8] = ["Zmierzyć", "Zamówić", "Zadzwonić", "Wycenić", "Zmontować", "Poprawić", "Wysłać", "Odebrać"];
const OBJECTS: [&str; 7] = ["kuchnię", "szafę", "blat", "fronty", "uchwyty", "fakturę", "projekt łazienki"];

/// Stores the tasks numbered `from` up to but without `upto`: every third one is done, the others are spread over the
/// days of a year and the statuses that do not close.
pub async fn fill(ctx: &mut Ctx, from: u32, upto: u32) -> Result<()> {
    let mut sql = ctx.from(&TASK_STATUSES);
    sql.push(" ORDER BY priority NULLS LAST, num");
    let statuses = ctx.records(&TASK_STATUSES, &sql).await?;
    let (closing, open): (Vec<_>, Vec<_>) = statuses.iter().partition(|status| status.flag("closed"));
    let now = ctx.now();
    for number in from..upto {
        let closed = number % 3 == 0;
        let status = pick(if closed { &closing } else { &open }, number).map(|status| status.id);
        let verb = pick(&VERBS, number).copied().unwrap_or_default();
        let object = pick(&OBJECTS, number).copied().unwrap_or_default();
        let minutes = i64::from(number % 365).saturating_mul(24 * 60);
        let values = Values::new()
            .with("title", format!("{verb} {object} {number}"))
            .with("content", format!("Zadanie {number} do pomiaru."))
            .with("status_id", status)
            .with("priority", i64::from(number % 11))
            .with("deadline", now.plus_minutes(minutes))
            .with("closed", closed)
            .with("closed_at", closed.then_some(now));
        ctx.insert(&TASKS, values).await?;
    }
    Ok(())
}

/// The next of a list that begins anew at its end.
fn pick<T>(list: &[T], number: u32) -> Option<&T> {
    let place = usize::try_from(number).ok()?.checked_rem(list.len())?;
    list.get(place)
}
