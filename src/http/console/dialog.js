// Dialogs, and short notes of what was done.

import { button, el, freshId } from './elements.js';

/** Opens a dialog. Esc closes it, and the focus goes back to where it was. */
export function openDialog(title, ...body) {
    const heading = el('h2', { id: freshId('dialog'), tabindex: '-1' }, title);
    const content = el('div', { class: 'dialog-body' }, body);
    const actions = el('div', { class: 'actions' });
    const dialog = el('dialog', { 'aria-labelledby': heading.id }, heading, content, actions);
    dialog.addEventListener('close', () => {
        dialog.remove();
        // The browser has given the focus back already, unless what had it is gone.
        if (document.activeElement === document.body) document.getElementById('main').focus();
    });
    // A click beside the dialog closes it, as Esc does.
    dialog.addEventListener('click', (event) => {
        if (event.target === dialog) dialog.close();
    });
    document.body.append(dialog);
    dialog.showModal();
    heading.focus();
    return { dialog, content, actions, close: () => dialog.close() };
}

/** A question with one way to say yes; resolves to whether it was said. */
export function confirmed(title, text, yes, { bad = false } = {}) {
    return new Promise((resolve) => {
        const { actions, close, dialog } = openDialog(title, el('p', {}, text));
        dialog.addEventListener('close', () => resolve(false));
        const agree = button(yes, () => {
            resolve(true);
            close();
        }, { class: bad ? 'bad' : 'primary' });
        actions.append(button('Cancel', close), agree);
    });
}

let hiding;
/** Tells in passing what was done, with something to do next if there is. */
export function tell(text, ...more) {
    const place = document.getElementById('told');
    const note = el('div', { class: 'told' }, el('span', {}, text), more, button('×', () => note.remove(), { class: 'quiet', 'aria-label': 'Dismiss' }));
    place.replaceChildren(note);
    clearTimeout(hiding);
    hiding = setTimeout(() => note.remove(), more.length ? 20000 : 8000);
}
