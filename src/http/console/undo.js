// Writes that are looked at before they are done: a dialog that tries dry, shows what would change, and asks.

import { call, freshKey, tool } from './calls.js';
import { changesOf, effectsOf } from './changes.js';
import { openDialog, tell } from './dialog.js';
import { button, el, inTheWay, refusalNotice } from './elements.js';

/** Shows what a write would do, and does it once the person says so. Resolves to its answer; to null when it was let be. */
export function previewed({ title, about, name, input, yes, bad = false, done }) {
    return new Promise((resolve) => {
        const preview = el('div', { 'aria-live': 'polite', 'aria-busy': 'true' }, el('p', { class: 'dim' }, 'Looking at what would change…'));
        const { dialog, content, actions, close } = openDialog(title, about && el('p', {}, about), preview);
        let answer = null;
        dialog.addEventListener('close', () => resolve(answer));
        // Sent again after a lost answer, it is done once all the same.
        const key = freshKey();
        const act = button(yes, async () => {
            act.disabled = true;
            content.querySelector('[role=alert]')?.remove();
            try {
                const takesKey = 'idempotency_key' in ((await tool(name)).inputSchema.properties ?? {});
                answer = await call(name, takesKey ? { idempotency_key: key, ...input } : input);
                close();
                if (done) tell(done);
            } catch (refusal) {
                if (refusal.isEnd) return close();
                act.disabled = false;
                content.append(refusalNotice(refusal));
            }
        }, { class: bad ? 'bad' : 'primary', disabled: true });
        actions.append(button('Cancel', close), act);
        call(name, { ...input, dry_run: true }).then(
            (tried) => {
                preview.replaceChildren(
                    ...[...session(tried), effectsOf(tried.outside_effects), changesOf(tried.changes ?? [], tried.change_count)].filter(Boolean),
                );
                act.disabled = false;
            },
            (refusal) => (refusal.isEnd ? close() : preview.replaceChildren(refusalNotice(refusal))),
        ).finally(() => preview.setAttribute('aria-busy', 'false'));
    });
}

/** What session_undo says beside the changes: where it stops, what it leaves, how much is left for another call. */
function session({ stopped_at: stopped, skipped = [], skipped_count: many = skipped.length, remaining = 0 }) {
    const left = (title, ...more) => el('div', { class: 'notice warn' }, el('p', {}, title), more);
    return [
        stopped && left(`It stops at “${stopped.label}”: ${stopped.reason}`, inTheWay(stopped.conflicts)),
        many > 0 && left(`${many.toLocaleString('en')} of its actions cannot be undone and stay:`, el('ul', {}, skipped.map(({ label, reason }) => el('li', {}, `${label}: ${reason}`)))),
        remaining > 0 && left(`${remaining.toLocaleString('en')} more actions are left after this.`),
    ].filter(Boolean);
}

/** Takes an action back. */
export const undo = (token, label) => previewed({
    title: 'Take this back?',
    about: `“${label}” is undone exactly: same ids, same values. You can redo it.`,
    name: 'action_undo',
    input: { undo_token: token },
    yes: 'Take back',
});

/** Carries out again what was taken back. */
export const redo = (id, label) => previewed({
    title: 'Do this again?',
    about: `“${label}” is carried out again exactly as it was.`,
    name: 'action_redo',
    input: { log_id: id },
    yes: 'Do again',
});
