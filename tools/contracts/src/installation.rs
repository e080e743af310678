//! Step 7 of the sales form: who installs and when, what they must know, how their work was rated.

use bureau_kit::prelude::*;
use bureau_kit::value::FromVal as _;

use crate::below::{cell, contract_id, guard, of_draft, refuse_second, rule};
use crate::calendar::refuse_blocked;

pub(crate) fn tools() -> Vec<Tool> {
    [note_tools(), rating_tools(), assignment_tools(), date_tools()].concat()
}

fn note_tools() -> Vec<Tool> {
    vec![
        family::list("contract_assembly_note_list", "contracts.view", &ASSEMBLY_NOTES)
            .title("List contract assembly notes")
            .about("List the notes for those who install the furniture of contracts. Filter by contract_id; q searches.")
            .synonyms("installation remarks uwagi montażowe umowy lista uwag do montażu зауваження до монтажу договору список"),
        family::create("contract_assembly_note_create", "contracts.change_krok7", &ASSEMBLY_NOTES)
            .title("Add an assembly note")
            .about("Add a note (uwagi) for those who install the furniture of a contract.")
            .synonyms("installation remark dodaj uwagę do montażu montażystów umowy додати зауваження до монтажу"),
        family::update("contract_assembly_note_update", "contracts.change_krok7", &ASSEMBLY_NOTES)
            .title("Change an assembly note")
            .about("Change a note for those who install. Refused once the contract is settled.")
            .synonyms("edit installation remark zmień uwagę do montażu змінити зауваження до монтажу"),
        family::delete("contract_assembly_note_delete", "contracts.change_krok7", &ASSEMBLY_NOTES)
            .title("Delete an assembly note")
            .about("Delete a note for those who install. Refused once the contract is settled.")
            .synonyms("remove installation remark usuń uwagę do montażu видалити зауваження до монтажу"),
    ]
}

fn rating_tools() -> Vec<Tool> {
    vec![
        family::list("contract_work_rating_list", "contracts.view", &WORK_RATINGS)
            .title("List work ratings")
            .about(
                "List what workers got for contracts and how their work was rated, 1 to 5. Filter by contract_id, worker \
                 (uzytkownik_id) or kind of worker.",
            )
            .synonyms("grades fitters pay oceny pracy montażystów wynagrodzenie za umowę lista оцінки роботи монтажників список"),
        family::create("contract_work_rating_create", "contracts.change_krok7", &WORK_RATINGS)
            .title("Rate work on a contract")
            .about(
                "Store how a worker's work on a contract is rated (ocena, 1 to 5) and what the worker gets for it (kwota), \
                 with the kind of worker such as montazysta (fitter).",
            )
            .synonyms("grade fitter pay oceń pracę montażysty wynagrodzenie za umowę оцінити роботу монтажника"),
        family::update("contract_work_rating_update", "contracts.change_krok7", &WORK_RATINGS)
            .title("Change a work rating")
            .about("Change the rating, the amount or the comment of a worker's work. Refused once the contract is settled.")
            .synonyms("edit grade fitter pay zmień ocenę pracy montażysty kwotę змінити оцінку роботи монтажника"),
        family::delete("contract_work_rating_delete", "contracts.change_krok7", &WORK_RATINGS)
            .title("Delete a work rating")
            .about("Delete the rating of a worker's work on a contract. Refused once the contract is settled.")
            .synonyms("remove grade fitter usuń ocenę pracy montażysty видалити оцінку роботи монтажника"),
    ]
}

fn assignment_tools() -> Vec<Tool> {
    vec![
        family::list("contract_worker_assignment_list", "contracts.view", &WORKER_ASSIGNMENTS)
            .title("List worker assignments")
            .about("List which workers are assigned to which contracts. Filter by contract_id or worker (uzytkownik_id).")
            .synonyms("fitters crew who installs montażyści przypisani do umowy ekipa lista призначені монтажники бригада договору список"),
        family::create("contract_worker_assignment_create", "contracts.change_krok7", &WORKER_ASSIGNMENTS)
            .title("Assign a worker to a contract")
            .about("Assign a worker (uzytkownik_id, see user_list) to a contract. Each worker once.")
            .synonyms("fitter crew przydziel przypisz montażystę pracownika do umowy ekipa призначити монтажника на договір"),
        family::update("contract_worker_assignment_update", "contracts.change_krok7", &WORKER_ASSIGNMENTS)
            .title("Change a worker assignment")
            .about("Put another worker in the place of one assigned to a contract. Refused once the contract is settled.")
            .synonyms("replace fitter zamień montażystę pracownika umowy замінити монтажника договору"),
        family::delete("contract_worker_assignment_delete", "contracts.change_krok7", &WORKER_ASSIGNMENTS)
            .title("Take a worker off a contract")
            .about("Take an assigned worker off a contract. Refused once the contract is settled.")
            .synonyms("unassign fitter odepnij montażystę pracownika od umowy зняти монтажника з договору"),
    ]
}

fn date_tools() -> Vec<Tool> {
    vec![
        family::list("contract_installation_date_list", "contracts.view", &INSTALLATION_DATES)
            .title("List installation dates")
            .about(
                "List when the furniture of contracts is to be installed. Filter by contract_id, or by time with data_from \
                 and data_to.",
            )
            .synonyms("fitting schedule terminy montażu umów kiedy montaż lista дати монтажу договорів коли монтаж список"),
        family::create("contract_installation_date_create", "contracts.create", &INSTALLATION_DATES)
            .title("Set an installation date")
            .about(
                "Set a date on which the furniture of a contract is to be installed. A contract may have several. Refused on a \
                 blocked day (blocked_day_list). It cannot be changed: delete it and set another.",
            )
            .synonyms("schedule fitting ustal termin montażu umowy zaplanuj montaż призначити дату монтажу договору"),
        family::delete("contract_installation_date_delete", "contracts.delete", &INSTALLATION_DATES)
            .title("Delete an installation date")
            .about("Delete a date of installation. Refused once the contract is settled.")
            .synonyms("cancel fitting usuń termin montażu odwołaj montaż видалити дату монтажу скасувати"),
    ]
}

pub(crate) static ASSEMBLY_NOTES: Table = Table::new(
    "contract_assembly_notes",
    "contract_assembly_note",
    "A note for those who install the furniture of a contract.",
    &[
        contract_id("Contract it is about."),
        Column::text("uwagi", "What they must know.").max(10_000).required().search(),
    ],
)
.rule(rule)
.guard(guard);

pub(crate) static WORK_RATINGS: Table = Table::new(
    "contract_work_ratings",
    "contract_work_rating",
    "How a worker's work on a contract is rated and paid.",
    &[
        contract_id("Contract that was worked on."),
        // What somebody earned stays on record: such a user is blocked, not deleted.
        Column::reference("uzytkownik_id", "users", OnDelete::Refuse, "User who did the work.").required().filter(),
        Column::money("kwota", "What the worker gets for it.").required().sort(),
        // Inferred: five grades (mercato.md); the source shows no limits.
        Column::count("ocena", 1, 5, "Rating, 1 (poor) to 5 (very good).").required().sort(),
        Column::text("komentarz", "Comment.").max(10_000),
        // The source shows the first of its values only: the list stays open.
        Column::text("typ_pracownika", "Kind of worker: montazysta (fitter), stolarz (joiner), … Any word.")
            .required()
            .filter(),
    ],
)
.rule(rule)
.guard(guard);

pub(crate) static WORKER_ASSIGNMENTS: Table = Table::new(
    "contract_worker_assignments",
    "contract_worker_assignment",
    "A worker assigned to a contract.",
    &[
        contract_id("Contract to work on."),
        Column::reference("uzytkownik_id", "users", OnDelete::Cascade, "User who is assigned.").required().filter(),
    ],
)
.rule(assignment_rule)
.guard(guard);

fn assignment_rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let contract = of_draft(ctx, draft.before, draft.values).await?;
        let Some(Val::Id(user)) = cell(draft.before, draft.values, "uzytkownik_id") else { return Ok(()) };
        if draft.event == Event::Delete {
            return Ok(());
        }
        // Inferred: a worker is assigned to a contract once (mercato.md).
        let same = [("contract_id", contract.id), ("uzytkownik_id", *user)];
        refuse_second(ctx, &WORKER_ASSIGNMENTS, draft.before, &same, || {
            format!(
                "This worker is assigned to contract {} already. See contract_worker_assignment_list (contract_id).",
                contract.text("numer")
            )
        })
        .await
    })
}

pub(crate) static INSTALLATION_DATES: Table = Table::new(
    "contract_installation_dates",
    "contract_installation_date",
    "When the furniture of a contract is to be installed.",
    &[contract_id("Contract to install."), Column::instant("data", "When.").required().range().sort()],
)
.rule(date_rule)
.guard(guard);

fn date_rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let contract = of_draft(ctx, draft.before, draft.values).await?;
        // Inferred: nothing is installed on a blocked day either (mercato.md).
        match (draft.event, draft.values.get("data").and_then(Instant::from_val)) {
            (Event::Create, Some(data)) => {
                refuse_blocked(ctx, (data.date(), data.date()), contract.organization_id).await
            }
            _ => Ok(()),
        }
    })
}
