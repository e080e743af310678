//! Amounts in Polish words, as contracts and receipts carry them.

use bureau_kit::money::Money;

const ONES: [&str; 20] = [
    "zero",
    "jeden",
    "dwa",
    "trzy",
    "cztery",
    "pięć",
    "sześć",
    "siedem",
    "osiem",
    "dziewięć",
    "dziesięć",
    "jedenaście",
    "dwanaście",
    "trzynaście",
    "czternaście",
    "piętnaście",
    "szesnaście",
    "siedemnaście",
    "osiemnaście",
    "dziewiętnaście",
];

const TENS: [&str; 10] = [
    "",
    "",
    "dwadzieścia",
    "trzydzieści",
    "czterdzieści",
    "pięćdziesiąt",
    "sześćdziesiąt",
    "siedemdziesiąt",
    "osiemdziesiąt",
    "dziewięćdziesiąt",
];

const HUNDREDS: [&str; 10] =
    ["", "sto", "dwieście", "trzysta", "czterysta", "pięćset", "sześćset", "siedemset", "osiemset", "dziewięćset"];

/// Thousands and up, in the long scale that Polish uses. The last one is more than Money can hold a thousand of.
const SCALES: [[&str; 3]; 4] = [
    ["tysiąc", "tysiące", "tysięcy"],
    ["milion", "miliony", "milionów"],
    ["miliard", "miliardy", "miliardów"],
    ["bilion", "biliony", "bilionów"],
];

const ZLOTY: [&str; 3] = ["złoty", "złote", "złotych"];
const GROSZ: [&str; 3] = ["grosz", "grosze", "groszy"];

/// An amount in Polish words, both parts spelled out: "tysiąc" is "jeden tysiąc", 0.50 is "zero złotych pięćdziesiąt
/// groszy". What is finer than a grosz is left off.
pub fn slownie(amount: Money) -> String {
    let units = amount.units().unsigned_abs();
    let (zlote, grosze) = (units / 10_000, units / 100 % 100);
    let sign = if amount < Money::ZERO { "minus " } else { "" };
    format!("{sign}{} {} {} {}", number(zlote), plural(zlote, ZLOTY), number(grosze), plural(grosze, GROSZ))
}

/// One; two to four, but not twelve to fourteen; everything else.
pub(crate) fn plural(count: u64, [one, few, many]: [&'static str; 3]) -> &'static str {
    match (count, count % 10, count % 100) {
        (1, _, _) => one,
        (_, _, 12..=14) => many,
        (_, 2..=4, _) => few,
        _ => many,
    }
}

/// A whole number in words, masculine.
fn number(count: u64) -> String {
    if count == 0 {
        return word(&ONES, 0).to_owned();
    }
    let mut groups = vec![below_thousand(count % 1000)];
    let mut rest = count / 1000;
    for scale in SCALES {
        let group = rest % 1000;
        rest /= 1000;
        if group > 0 {
            groups.push(format!("{} {}", below_thousand(group), plural(group, scale)));
        }
    }
    groups.reverse();
    joined(groups)
}

fn below_thousand(count: u64) -> String {
    let (hundreds, rest) = (count / 100, count % 100);
    let (tens, ones) = if rest < 20 { (0, rest) } else { (rest / 10, rest % 10) };
    let ones = if ones == 0 { "" } else { word(&ONES, ones) };
    joined([word(&HUNDREDS, hundreds), word(&TENS, tens), ones].map(str::to_owned))
}

fn joined(words: impl IntoIterator<Item = String>) -> String {
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn word(words: &'static [&'static str], index: u64) -> &'static str {
    usize::try_from(index).ok().and_then(|index| words.get(index)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_spelled_out() {
        for (amount, words) in [
            ("0", "zero złotych zero groszy"),
            ("0.01", "zero złotych jeden grosz"),
            ("0.02", "zero złotych dwa grosze"),
            ("0.12", "zero złotych dwanaście groszy"),
            ("0.22", "zero złotych dwadzieścia dwa grosze"),
            ("0.50", "zero złotych pięćdziesiąt groszy"),
            ("1", "jeden złoty zero groszy"),
            ("2", "dwa złote zero groszy"),
            ("5", "pięć złotych zero groszy"),
            ("14.99", "czternaście złotych dziewięćdziesiąt dziewięć groszy"),
            ("21", "dwadzieścia jeden złotych zero groszy"),
            ("22", "dwadzieścia dwa złote zero groszy"),
            ("101", "sto jeden złotych zero groszy"),
            ("112", "sto dwanaście złotych zero groszy"),
            ("1000", "jeden tysiąc złotych zero groszy"),
            ("1001", "jeden tysiąc jeden złotych zero groszy"),
            ("1234.50", "jeden tysiąc dwieście trzydzieści cztery złote pięćdziesiąt groszy"),
            ("2000", "dwa tysiące złotych zero groszy"),
            ("12000", "dwanaście tysięcy złotych zero groszy"),
            ("22000", "dwadzieścia dwa tysiące złotych zero groszy"),
            ("100000", "sto tysięcy złotych zero groszy"),
            ("1000000", "jeden milion złotych zero groszy"),
            ("1000002", "jeden milion dwa złote zero groszy"),
            ("5012013.13", "pięć milionów dwanaście tysięcy trzynaście złotych trzynaście groszy"),
            ("1000000000", "jeden miliard złotych zero groszy"),
            ("3004000000", "trzy miliardy cztery miliony złotych zero groszy"),
            ("25000000000", "dwadzieścia pięć miliardów złotych zero groszy"),
            ("2000000000000", "dwa biliony złotych zero groszy"),
            ("-7.03", "minus siedem złotych trzy grosze"),
        ] {
            assert_eq!(slownie(Money::parse(amount).unwrap()), words, "{amount}");
        }
    }

    #[test]
    fn the_largest_amount_has_words() {
        assert_eq!(
            slownie(Money::from_units(i64::MAX)),
            "dziewięćset dwadzieścia dwa biliony trzysta trzydzieści siedem miliardów dwieście trzy miliony sześćset \
             osiemdziesiąt pięć tysięcy czterysta siedemdziesiąt siedem złotych pięćdziesiąt osiem groszy"
        );
        assert!(slownie(Money::from_units(i64::MIN)).starts_with("minus dziewięćset"));
    }

    /// The rule as a grammar book tells it, over the decimal text: another way to the same answer.
    fn form_by_text(count: u64) -> usize {
        let text = count.to_string();
        let teens = text.len() > 1 && text.as_bytes()[text.len() - 2] == b'1';
        match (text.as_str(), text.as_bytes()[text.len() - 1]) {
            ("1", _) => 0,
            (_, b'2'..=b'4') if !teens => 1,
            _ => 2,
        }
    }

    #[test]
    fn every_plural_form_up_to_a_hundred_thousand_is_right() {
        for count in 0..100_000_u64 {
            assert_eq!(plural(count, ZLOTY), ZLOTY[form_by_text(count)], "{count} złotych");
        }
        for zlote in 0..100_000_i64 {
            let words = slownie(Money::from_units(zlote * 10_000));
            let noun = ZLOTY[form_by_text(zlote.unsigned_abs())];
            assert!(words.ends_with(&format!(" {noun} zero groszy")), "{zlote}: {words}");
            if zlote >= 1000 {
                let thousands = SCALES[0][form_by_text(zlote.unsigned_abs() / 1000)];
                assert!(words.contains(&format!(" {thousands} ")), "{zlote}: {words}");
            }
        }
        for grosze in 0..100_i64 {
            let words = slownie(Money::from_units(grosze * 100));
            assert!(words.ends_with(&format!(" {}", GROSZ[form_by_text(grosze.unsigned_abs())])), "{grosze}: {words}");
        }
    }

    /// What a number's words add up to: read back word by word, another way to the same answer.
    fn read_back(words: &str) -> u64 {
        let (mut sum, mut group) = (0, 0);
        for word in words.split(' ') {
            let place = |words: &[&str]| words.iter().position(|known| *known == word).map(|index| index as u64);
            if let Some(scale) = SCALES.iter().position(|forms| forms.contains(&word)) {
                sum += group * 1000_u64.pow(scale as u32 + 1);
                group = 0;
            } else if let Some(ones) = place(&ONES) {
                group += ones;
            } else if let Some(tens) = place(&TENS) {
                group += tens * 10;
            } else {
                group += place(&HUNDREDS).unwrap_or_else(|| panic!("{word:?} is no numeral in {words:?}")) * 100;
            }
        }
        sum + group
    }

    #[test]
    fn every_amount_up_to_a_milliard_reads_back_and_agrees_with_its_nouns() {
        // Steps that share no factor with a thousand, so that every group takes every value; and all round numbers.
        let spread = (0..400_000_u64).map(|step| step * 2_499_997 % 100_000_000_000);
        let round = (0..11).flat_map(|power| (0..100).map(move |times| times * 10_u64.pow(power)));
        let edges = [99_999_999_999, 99_999_999_900, 100_000_000, 99_999_999, 100_100, 100_099];
        for grosze in spread.chain(round).chain(edges).filter(|grosze| *grosze <= 99_999_999_999) {
            let words = slownie(Money::from_units(i64::try_from(grosze * 100).unwrap()));
            let (zlote, rest) = (grosze / 100, grosze % 100);
            let noun = ZLOTY[form_by_text(zlote)];
            let (whole, fraction) =
                words.split_once(&format!(" {noun} ")).unwrap_or_else(|| panic!("{zlote}: {words}"));
            let fraction = fraction.strip_suffix(&format!(" {}", GROSZ[form_by_text(rest)]));
            let fraction = fraction.unwrap_or_else(|| panic!("{rest}: {words}"));
            assert_eq!((read_back(whole), read_back(fraction)), (zlote, rest), "{words}");
            for (scale, forms) in SCALES.iter().enumerate() {
                let group = zlote / 1000_u64.pow(scale as u32 + 1) % 1000;
                let expected = (group > 0).then(|| forms[form_by_text(group)]);
                let found = whole.split(' ').find(|word| forms.contains(word));
                assert_eq!(found, expected, "{words}");
            }
        }
    }

    #[test]
    fn no_two_amounts_share_their_words() {
        let mut seen = std::collections::HashSet::new();
        for zlote in (0..20_000_u64).chain((0..2_000).map(|n| n * 999_983)) {
            seen.insert((zlote, number(zlote)));
        }
        let words: std::collections::HashSet<_> = seen.iter().map(|(_, words)| words.clone()).collect();
        assert_eq!(words.len(), seen.len());
    }
}
