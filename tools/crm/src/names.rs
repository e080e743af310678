//! Names of people: whole, and in parts.

use bureau_kit::prelude::*;

use crate::form::{Form, Mode};

/// The parts of a name as arguments give them.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) whole: Patch<String>,
    pub(crate) first: Patch<String>,
    pub(crate) middle: Patch<String>,
    pub(crate) last: Patch<String>,
}

impl Names {
    /// Puts the whole name and its parts into a form, each made from the other where only one is given.
    pub(crate) fn fill(self, form: &mut Form, before: Option<&Record>) -> Result<()> {
        let updated = before.filter(|_| form.mode == Mode::Update);
        let old = |column| updated.map(|person| person.text(column)).unwrap_or_default();
        // Inferred: parts and whole follow each other as long as they say the same; a name chosen freely is kept.
        let in_step = updated.is_none_or(|person| {
            whole(old("first_name"), old("middle_name"), old("last_name")) == person.text("display_name")
        });
        let given_parts = [&self.first, &self.middle, &self.last].iter().any(|part| !matches!(part, Patch::Absent));
        let part = |given: &Patch<String>, column| match given {
            Patch::Set(text) => text.trim().to_owned(),
            Patch::Absent => old(column).to_owned(),
            Patch::Clear => String::new(),
        };
        let (first, middle, last) =
            (part(&self.first, "first_name"), part(&self.middle, "middle_name"), part(&self.last, "last_name"));
        let (mut first_given, mut middle_given, mut last_given) = (self.first, self.middle, self.last);
        match self.whole {
            Patch::Set(name) => {
                if !given_parts && in_step {
                    let (first, last) = split_at_last_space(&name);
                    first_given = Patch::Set(first);
                    middle_given = Patch::Clear;
                    last_given = Patch::Set(last);
                }
                form.put("name", "display_name", Patch::Set(name))?;
            }
            Patch::Clear => form.refuse("name", "cannot be cleared"),
            Patch::Absent if updated.is_some() => {
                if given_parts && in_step {
                    form.put("name", "display_name", Patch::Set(whole(&first, &middle, &last)))?;
                }
            }
            Patch::Absent if !first.is_empty() && !last.is_empty() => {
                form.put("name", "display_name", Patch::Set(whole(&first, &middle, &last)))?;
            }
            Patch::Absent => form.refuse("name", "is required; give name, or first_name and last_name"),
        }
        form.put("first_name", "first_name", first_given)?;
        form.put("middle_name", "middle_name", middle_given)?;
        form.put("last_name", "last_name", last_given)
    }
}

/// `first middle last`, without those that are empty.
fn whole(first: &str, middle: &str, last: &str) -> String {
    [first, middle, last].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// First names and the last one. A single word is a first name.
fn split_at_last_space(name: &str) -> (String, String) {
    let name = name.trim();
    match name.rsplit_once(char::is_whitespace) {
        Some((first, last)) => (first.trim_end().to_owned(), last.to_owned()),
        None => (name.to_owned(), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::party::PARTIES;

    #[test]
    fn names_are_split_at_the_last_space() {
        for (name, first, last) in
            [("Anna Maria Nowak", "Anna Maria", "Nowak"), ("Cher", "Cher", ""), ("  Anna   Nowak ", "Anna", "Nowak")]
        {
            assert_eq!(split_at_last_space(name), (first.to_owned(), last.to_owned()));
        }
        assert_eq!(whole("Anna", "", "Nowak"), "Anna Nowak");
    }

    fn filled(mode: Mode, names: Names) -> Result<Values> {
        let mut form = Form::new(&PARTIES, mode);
        names.fill(&mut form, None)?;
        form.finish()
    }

    #[test]
    fn either_the_whole_name_or_its_parts_are_enough() {
        let set = |text: &str| Patch::Set(text.to_owned());
        let names = |whole, first, last| Names { whole, first, middle: Patch::Absent, last };
        let values = filled(Mode::Create, names(set("Anna Nowak"), Patch::Absent, Patch::Absent)).unwrap();
        assert_eq!(values.text("first_name"), Some("Anna"));
        assert_eq!(values.text("last_name"), Some("Nowak"));
        let values = filled(Mode::Create, names(Patch::Absent, set("Anna"), set("Nowak"))).unwrap();
        assert_eq!(values.text("display_name"), Some("Anna Nowak"));
        for missing in [names(Patch::Absent, set("Anna"), Patch::Absent), names(Patch::Absent, set(" "), set("x"))] {
            assert_eq!(
                filled(Mode::Create, missing).unwrap_err().message(),
                "/name: is required; give name, or first_name and last_name"
            );
        }
        assert_eq!(
            filled(Mode::Create, names(set("  "), Patch::Absent, Patch::Absent)).unwrap_err().message(),
            "/name: must not be blank"
        );
    }
}
