//! What the company notes about its workers.

use bureau_kit::prelude::*;

use crate::below::{cell, refuse_second};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("worker_profile_list", "contracts.view", &WORKER_PROFILES)
            .title("List worker profiles")
            .about("List what is noted about workers who install contracts. Filter by user_id; q searches the notes.")
            .synonyms("fitters notebook profile pracowników montażystów notatnik lista профілі працівників монтажників нотатки список"),
        family::create("worker_profile_create", "contracts.workers.manage", &WORKER_PROFILES)
            .title("Create a worker profile")
            .about("Create the profile of a worker: a user (see user_list) and notes (notatnik). Each user has one.")
            .synonyms("fitter notebook dodaj profil pracownika montażysty notatnik створити профіль працівника монтажника"),
        family::update("worker_profile_update", "contracts.workers.manage", &WORKER_PROFILES)
            .title("Change a worker profile")
            .about("Change what is noted about a worker.")
            .synonyms("edit fitter notebook zmień profil pracownika montażysty notatnik змінити профіль працівника"),
        family::delete("worker_profile_delete", "contracts.workers.manage", &WORKER_PROFILES)
            .title("Delete a worker profile")
            .about("Delete the profile of a worker; the user stays.")
            .synonyms("remove fitter notebook usuń profil pracownika montażysty видалити профіль працівника"),
    ]
}

pub(crate) static WORKER_PROFILES: Table = Table::new(
    "worker_profiles",
    "worker_profile",
    "What is noted about a worker.",
    &[
        Column::reference("user_id", "users", OnDelete::Cascade, "User it is about.").required().fixed().filter(),
        Column::text("notatnik", "Notes.").max(50_000).search(),
    ],
)
.rule(rule);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let Some(Val::Id(user)) = cell(draft.before, draft.values, "user_id") else { return Ok(()) };
        if draft.event != Event::Create {
            return Ok(());
        }
        // Inferred: one profile a user (mercato.md).
        refuse_second(ctx, &WORKER_PROFILES, None, &[("user_id", *user)], || {
            "This user has a profile already. Find it with worker_profile_list (user_id), and change it with \
             worker_profile_update."
                .to_owned()
        })
        .await
    })
}
