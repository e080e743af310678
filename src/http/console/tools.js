// The tool explorer: find a tool, read what it takes, try it dry, do it.

import { call, tool, tools } from './calls.js';
import { changesOf, copying, effectsOf, json } from './changes.js';
import { tell } from './dialog.js';
import { arrows, badge, button, el, empty, refusalNotice, region } from './elements.js';
import { schemaForm } from './form.js';
import { previewed, undo } from './undo.js';

const EFFECTS = { read: ['reads', 'good'], create: ['adds', 'accent'], update: ['changes', 'accent'], action: ['acts', 'warn'], delete: ['deletes', 'bad'] };
const effectBadge = (effect) => badge(...(EFFECTS[effect] ?? [effect, '']));

export function create() {
    const search = el('input', { type: 'search', placeholder: 'Find a tool, in your own words', 'aria-label': 'Find a tool', autocomplete: 'off', spellcheck: 'false', 'data-search': true });
    const list = region('Tools');
    const about = region('Tool');
    const many = el('p', { class: 'dim', role: 'status' });
    const columns = el('div', { class: 'explorer' }, el('div', { class: 'finder' }, search, many, list.node), about.node);
    about.node.className = 'tool';
    let current = '';
    let waiting;

    const mark = () => {
        for (const link of list.node.querySelectorAll('a')) {
            if (link.dataset.tool === current) link.setAttribute('aria-current', 'true');
            else link.removeAttribute('aria-current');
        }
    };
    const show = (found, groups) => {
        many.textContent = `${found.length} tool${found.length === 1 ? '' : 's'}`;
        if (!found.length) return empty('No tool fits.', 'Try other words; English, Polish and Ukrainian are understood.');
        const parts = groups ? [...Map.groupBy(found, ({ toolset }) => toolset)] : [['', found]];
        return parts.map(([toolset, members]) => el('div', {}, toolset && el('h2', {}, toolset), el('ul', { class: 'tool-list' }, members.map(link))));
    };
    const find = async () => {
        const words = search.value.trim();
        const all = await tools();
        if (!words) return show(all, true);
        const near = here(all, words);
        const meant = await meantBy(words, all);
        return show([...new Set([...near, ...meant])], false);
    };
    const refresh = () => list.load(find).then(mark);
    search.addEventListener('input', () => {
        clearTimeout(waiting);
        waiting = setTimeout(refresh, 150);
    });
    search.addEventListener('keydown', (event) => {
        const first = list.node.querySelector('a');
        if (event.key === 'ArrowDown' && first) {
            event.preventDefault();
            first.focus();
        } else if (event.key === 'Enter' && first) {
            clearTimeout(waiting);
            refresh().then(() => list.node.querySelector('a')?.click());
        }
    });
    arrows(list.node, 'a');
    refresh();

    return {
        title: 'Tools',
        node: el('div', {}, el('div', { class: 'title' }, el('h1', {}, 'Tools')), columns),
        update(name) {
            current = name;
            columns.classList.toggle('has-tool', Boolean(name));
            mark();
            if (!name) return about.load(async () => empty('Choose a tool.', 'Press / to search; the arrow keys move in the list.'));
            return about.load(async () => explored(await tool(name))).then(() => about.node.querySelector('h2')?.focus());
        },
    };
}

const link = ({ name, title, effect }) => el(
    'li', {}, el('a', { href: `#/tools/${name}`, 'data-tool': name }, el('span', { class: `dot ${EFFECTS[effect]?.[1] ?? ''}`, title: EFFECTS[effect]?.[0] }), el('span', {}, title, el('code', {}, name))),
);

/** Tools whose name, title or description has every word, those with the words in their name first. */
function here(all, text) {
    const words = text.toLowerCase().split(/[\s_]+/).filter(Boolean);
    const has = (of) => words.every((word) => of.toLowerCase().includes(word));
    const rank = ({ name, title, about, toolset }) => [has(name), has(title), has(`${name} ${title} ${about} ${toolset}`)].indexOf(true);
    return all.map((one) => [rank(one), one]).filter(([at]) => at >= 0).sort(([a], [b]) => a - b).map(([, one]) => one);
}

/** What the server's own search finds: other words and languages. */
async function meantBy(query, all) {
    if (!all.some(({ name }) => name === 'tool_search')) return [];
    try {
        const { items } = await call('tool_search', { query, limit: 10 });
        return items.map(({ name }) => all.find((one) => one.name === name)).filter(Boolean);
    } catch (refusal) {
        if (refusal.isEnd) throw refusal;
        return [];
    }
}

function explored(of) {
    const isRead = of.effect === 'read';
    const form = schemaForm(of.inputSchema);
    const answer = el('div', { class: 'answer', role: 'region', 'aria-label': 'Answer', 'aria-live': 'polite' });
    const fill = (...content) => answer.replaceChildren(...content.flat(Infinity).filter(Boolean));

    const refuse = (refusal) => {
        fill(refusalNotice(refusal));
        form.refuse(refusal.fields);
    };
    const attempt = async (event) => {
        event?.preventDefault();
        const input = form.read();
        if (!input) return;
        answer.setAttribute('aria-busy', 'true');
        try {
            const result = await call(of.name, isRead ? input : { ...input, dry_run: true });
            fill(isRead ? el('h3', {}, 'Answer') : tried(result), answered(result));
        } catch (refusal) {
            if (!refusal.isEnd) refuse(refusal);
        } finally {
            answer.removeAttribute('aria-busy');
        }
    };
    const doIt = async () => {
        const input = form.read();
        if (!input) return;
        const result = await previewed({
            title: of.title, about: `${of.name} is carried out for real.`, name: of.name, input, yes: 'Do it', bad: of.effect === 'delete' || of.annotations?.destructiveHint,
        });
        if (!result) return;
        fill(
            el('div', { class: 'notice good' }, el('p', {}, 'Done.'), result.undo_token && button('Undo…', () => undone(result), { class: 'small' })),
            answered(result),
        );
        answer.scrollIntoView({ block: 'nearest' });
    };
    const undone = async ({ undo_token: token }) => {
        if (!(await undo(token, of.title))) return;
        fill(el('div', { class: 'notice' }, el('p', {}, 'Taken back.')));
        tell('Taken back.');
    };

    const turner = button('Edit as JSON', () => {
        turner.textContent = form.turn() ? 'Edit as fields' : 'Edit as JSON';
    }, { class: 'small' });
    const rights = (of.rights ?? []).filter(Boolean);
    return el(
        'article', {},
        el('a', { class: 'back', href: '#/tools' }, '← All tools'),
        el('div', { class: 'tool-head' }, el('h2', { tabindex: '-1' }, of.title), effectBadge(of.effect)),
        el('p', { class: 'tool-name' }, el('code', {}, of.name), ' ', badge(of.toolset), rights.map((right) => [' ', el('span', { class: 'badge', title: 'The right it needs' }, right)]), !rights.length && [' ', badge('no right needed')]),
        el('p', {}, of.description),
        of.irreversible && el('p', { class: 'notice warn' }, `It cannot be undone: ${of.irreversible}.`),
        el(
            'form', { onsubmit: attempt, novalidate: true, 'aria-label': `Arguments of ${of.name}` },
            el('div', { class: 'label-row' }, el('h3', {}, 'Arguments'), turner),
            form.node,
            el(
                'div', { class: 'actions left' },
                el('button', { type: 'submit', class: 'primary' }, isRead ? 'Call' : 'Try dry'),
                !isRead && button('Do it…', doIt, { class: of.effect === 'delete' ? 'bad' : '' }),
            ),
        ),
        answer,
        el(
            'details', { class: 'fold' }, el('summary', {}, 'Schema'),
            el('h3', {}, 'Input'), json(of.inputSchema), of.outputSchema && [el('h3', {}, 'Output'), json(of.outputSchema)],
        ),
    );
}

const tried = (result) => [
    el('h3', {}, 'This would change'), changesOf(result.changes ?? []), effectsOf(result.outside_effects),
];

const answered = (result) => el('details', { class: 'fold', open: !result.dry_run }, el('summary', {}, 'The answer as JSON'), copying(result), json(result));
