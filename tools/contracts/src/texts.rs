//! Step 8 of the sales form, second part: texts kept once, and which contracts carry them.

use bureau_kit::prelude::*;

use crate::below::{contract_id, guard, of_draft, refuse_second};

pub(crate) fn tools() -> Vec<Tool> {
    [template_tools(), attachment_tools()].concat()
}

fn template_tools() -> Vec<Tool> {
    vec![
        family::list("contract_text_template_list", "contracts.view", &TEXT_TEMPLATES)
            .title("List contract text templates")
            .about("List the texts that contracts can carry, such as terms of delivery or warranty. q searches name and text.")
            .synonyms("clauses terms wzory tekstów umów szablony klauzule lista шаблони текстів договорів умови список"),
        family::create("contract_text_template_create", "contracts.change_krok8", &TEXT_TEMPLATES)
            .title("Create a contract text template")
            .about(
                "Store a text that contracts can carry: nazwa (name) and tresc (the text). Then give it to a contract with \
                 contract_text_attachment_create.",
            )
            .synonyms("clause terms dodaj wzór tekstu umowy szablon klauzulę створити шаблон тексту договору умови"),
        family::update("contract_text_template_update", "contracts.change_krok8", &TEXT_TEMPLATES)
            .title("Change a contract text template")
            .about(
                "Change the name or the text of a template, for contracts to come. Contracts that carry it keep the text as it \
                 was given to them.",
            )
            .synonyms("edit clause terms zmień wzór tekstu umowy szablon klauzulę змінити шаблон тексту договору"),
        family::delete("contract_text_template_delete", "contracts.change_krok8", &TEXT_TEMPLATES)
            .title("Delete a contract text template")
            .about("Delete a text template. Refused while a contract carries it.")
            .synonyms("remove clause terms usuń wzór tekstu umowy szablon klauzulę видалити шаблон тексту договору"),
    ]
}

fn attachment_tools() -> Vec<Tool> {
    vec![
        family::list("contract_text_attachment_list", "contracts.view", &TEXT_ATTACHMENTS)
            .title("List texts of contracts")
            .about("List the texts that contracts carry, as they were given. Filter by contract_id or template_id.")
            .synonyms("clauses terms attached załączniki tekstowe umowy klauzule lista тексти договору умови список"),
        family::create("contract_text_attachment_create", "contracts.change_krok8", &TEXT_ATTACHMENTS)
            .title("Give a text to a contract")
            .about(
                "Give a text template to a contract, each once: the contract keeps the text as it stands now, and it is printed \
                 with the warranty. See contract_text_template_list for the texts there are.",
            )
            .synonyms("attach clause terms dołącz tekst klauzulę warunki do umowy додати текст умови до договору"),
        family::update("contract_text_attachment_update", "contracts.change_krok8", &TEXT_ATTACHMENTS)
            .title("Exchange a text of a contract")
            .about("Put another text template in the place of one that a contract carries. Refused once it is settled.")
            .synonyms("replace clause terms zamień tekst klauzulę umowy замінити текст умови договору"),
        family::delete("contract_text_attachment_delete", "contracts.change_krok8", &TEXT_ATTACHMENTS)
            .title("Take a text off a contract")
            .about("Take a text template off a contract; the template itself stays. Refused once the contract is settled.")
            .synonyms("detach clause terms odłącz tekst klauzulę od umowy зняти текст умови з договору"),
    ]
}

pub(crate) static TEXT_TEMPLATES: Table = Table::new(
    "contract_text_templates",
    "contract_text_template",
    "A text that contracts can carry.",
    &[
        Column::text("nazwa", "Name.").required().search().sort(),
        Column::text("tresc", "The text, in paragraphs.").max(50_000).required().search(),
    ],
);

pub(crate) static TEXT_ATTACHMENTS: Table = Table::new(
    "contract_text_attachments",
    "contract_text_attachment",
    "A text that a contract carries.",
    &[
        contract_id("Contract that carries the text."),
        // Inferred: a template in use stays (mercato.md).
        Column::reference("template_id", "contract_text_templates", OnDelete::Refuse, "Template of the text.")
            .required()
            .filter(),
        // What was agreed does not change when the template does.
        Column::text("nazwa", "Name of the text when it was given.").default("\"\"").computed(),
        Column::text("tresc", "The text when it was given.").max(50_000).default("\"\"").computed(),
    ],
)
.rule(rule)
.guard(guard);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let contract = of_draft(ctx, draft.before, draft.values).await?;
        // An update that leaves the template keeps the text.
        let given = draft.values.id_of("template_id");
        let Some(template) =
            given.filter(|given| draft.before.and_then(|row| row.id_of("template_id")) != Some(*given))
        else {
            return Ok(());
        };
        // Inferred: a contract carries a text once (peers.md §1.24).
        let same = [("contract_id", contract.id), ("template_id", template)];
        refuse_second(ctx, &TEXT_ATTACHMENTS, draft.before, &same, || {
            format!(
                "Contract {} carries this text already. See contract_text_attachment_list (contract_id).",
                contract.text("numer")
            )
        })
        .await?;
        let text = ctx.fetch_from(&TEXT_TEMPLATES, template).await?;
        draft.values.set("nazwa", text.text("nazwa")).set("tresc", text.text("tresc"));
        Ok(())
    })
}
