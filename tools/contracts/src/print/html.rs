//! A document as one HTML page that needs nothing else, ready to be shown, mailed or printed on A4.

use super::sheet::{Fact, Grid, Sheet, Side, Text};

const STYLE: &str = "\
@page{size:A4;margin:17mm}\
body{font:10pt/1.4 'Liberation Sans',Arial,Helvetica,sans-serif;color:#1c2430;max-width:180mm;margin:0 auto;padding:6mm 0}\
header{border-bottom:2px solid #1f3a5f;padding-bottom:3mm;margin-bottom:5mm}\
h1{font-size:19pt;line-height:1.2;margin:0;color:#1f3a5f}\
h1 small{font-size:12pt;font-weight:normal;color:#1c2430;margin-left:3mm}\
h2{font-size:10.5pt;margin:6mm 0 2mm;color:#1f3a5f}\
dl{display:flex;flex-wrap:wrap;gap:2mm 10mm;margin:3mm 0 0}\
dt{font-size:7.5pt;color:#667085}dd{margin:0}\
.sides{display:flex;gap:10mm;margin-bottom:5mm}.sides section{flex:1}\
.sides h3,.words b{font-size:7.5pt;font-weight:normal;color:#667085;margin:0}\
table{width:100%;border-collapse:collapse;font-size:8.5pt}\
th{background:#eef2f7;text-align:left;vertical-align:bottom;font-weight:bold}\
th,td{padding:1.4mm 1.6mm;border-bottom:1px solid #d5dbe5;vertical-align:top}\
.r{text-align:right}tfoot td{font-weight:bold;border-bottom:0}\
.sums{width:auto;margin:4mm 0 0 auto;font-size:10pt}.sums td{border:0;padding:.8mm 0 .8mm 8mm}\
.sums .strong td{font-weight:bold;font-size:12pt;border-top:1px solid #1f3a5f}\
.words{margin:4mm 0}.words b{display:block}\
p{margin:0 0 2mm;white-space:pre-line}\
.sign{display:flex;gap:20mm;margin-top:22mm;break-inside:avoid}\
.sign div{flex:1;border-top:1px dotted #667085;text-align:center;font-size:7.5pt;color:#667085;padding-top:1mm}";

/// The page.
pub(crate) fn page(sheet: &Sheet) -> String {
    let mut html = String::with_capacity(8 * 1024);
    let title = format!("{} {}", sheet.title, sheet.numer);
    html.push_str("<!DOCTYPE html>\n<html lang=\"pl\"><head><meta charset=\"utf-8\"><title>");
    html.push_str(&escaped(&title));
    html.push_str("</title><style>");
    html.push_str(STYLE);
    html.push_str("</style></head>\n<body><header><h1>");
    html.push_str(&escaped(&sheet.title));
    put(&mut html, " <small>nr ", &sheet.numer, "</small></h1><dl>");
    sheet.facts.iter().for_each(|fact| named(&mut html, fact));
    html.push_str("</dl></header>\n<div class=\"sides\">");
    sheet.parties.iter().for_each(|side| party(&mut html, side));
    html.push_str("</div>\n");
    if let Some(opening) = &sheet.opening {
        put(&mut html, "<p>", opening, "</p>\n");
    }
    sheet.grids.iter().for_each(|grid| table(&mut html, grid));
    sums(&mut html, &sheet.sums);
    if let Some(words) = &sheet.words {
        put(&mut html, "<div class=\"words\"><b>Słownie</b>", words, "</div>\n");
    }
    sheet.texts.iter().for_each(|text| paragraphs(&mut html, text));
    if !sheet.signatures.is_empty() {
        html.push_str("<div class=\"sign\">");
        sheet.signatures.iter().for_each(|who| put(&mut html, "<div>", who, "</div>"));
        html.push_str("</div>\n");
    }
    html.push_str("</body></html>\n");
    html
}

fn put(html: &mut String, before: &str, text: &str, after: &str) {
    html.push_str(before);
    html.push_str(&escaped(text));
    html.push_str(after);
}

fn named(html: &mut String, fact: &Fact) {
    put(html, "<div><dt>", &fact.name, "</dt>");
    put(html, "<dd>", &fact.value, "</dd></div>");
}

fn party(html: &mut String, side: &Side) {
    put(html, "<section><h3>", &side.role, "</h3>");
    put(html, "<strong>", &side.name, "</strong>");
    side.lines.iter().for_each(|line| put(html, "<br>", line, ""));
    html.push_str("</section>");
}

fn table(html: &mut String, grid: &Grid) {
    if let Some(heading) = &grid.heading {
        put(html, "<h2>", heading, "</h2>");
    }
    html.push_str("<table><thead><tr>");
    for column in &grid.columns {
        put(html, if column.right { "<th class=\"r\">" } else { "<th>" }, &column.title, "</th>");
    }
    html.push_str("</tr></thead><tbody>");
    grid.rows.iter().for_each(|cells| row(html, grid, cells));
    html.push_str("</tbody>");
    if let Some(total) = &grid.total {
        html.push_str("<tfoot>");
        row(html, grid, total);
        html.push_str("</tfoot>");
    }
    html.push_str("</table>\n");
}

fn row(html: &mut String, grid: &Grid, cells: &[String]) {
    html.push_str("<tr>");
    for (column, cell) in grid.columns.iter().zip(cells) {
        put(html, if column.right { "<td class=\"r\">" } else { "<td>" }, cell, "</td>");
    }
    html.push_str("</tr>");
}

fn sums(html: &mut String, sums: &[Fact]) {
    if sums.is_empty() {
        return;
    }
    html.push_str("<table class=\"sums\">");
    for sum in sums {
        html.push_str(if sum.strong { "<tr class=\"strong\">" } else { "<tr>" });
        put(html, "<td>", &sum.name, "</td>");
        put(html, "<td class=\"r\">", &sum.value, "</td></tr>");
    }
    html.push_str("</table>\n");
}

fn paragraphs(html: &mut String, text: &Text) {
    if let Some(heading) = &text.heading {
        put(html, "<h2>", heading, "</h2>");
    }
    put(html, "<p>", &text.body, "</p>\n");
}

/// Text that means nothing to a browser but itself. Control characters, which HTML has no place for, are left out.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\u{a0}' => safe.push_str("&nbsp;"),
            '\n' => safe.push('\n'),
            control if control.is_control() => {}
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_printed_becomes_markup() {
        let hostile = "<script>alert('x')</script> & \"Żółć\"\u{0}\u{7}";
        let sheet = Sheet {
            title: hostile.into(),
            numer: hostile.into(),
            facts: vec![Fact::new(hostile, hostile)],
            parties: vec![Side { role: hostile.into(), name: hostile.into(), lines: vec![hostile.into()] }],
            opening: Some(hostile.into()),
            words: Some(hostile.into()),
            texts: vec![Text { heading: Some(hostile.into()), body: hostile.into() }],
            signatures: vec![hostile.into()],
            ..Sheet::default()
        };
        let html = page(&sheet);
        assert!(!html.contains("<script"), "{html}");
        assert!(!html.contains('\u{0}') && !html.contains('\u{7}'));
        let shown = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;Żółć&quot;";
        assert_eq!(html.matches(shown).count(), 14);
    }
}
