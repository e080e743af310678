#!/usr/bin/env python3
"""The official Python SDK (PyPI `mcp`) as a client of bureau, over stdio and HTTP, in each way it can connect.

    tests/external/install.sh
    tests/external/with_server.sh /tmp/bureau-external/python/bin/python tests/external/python_client.py

Every run plays the same stories and must see the same list of tools. The first answer that is not exactly as expected
ends the program.
"""

import asyncio
import json
import logging
import os
import re
import sqlite3
import sys
import uuid
import warnings
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

import httpx2
from mcp import Client, MCPDeprecationWarning, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult, PromptReference, ResourceTemplateReference

TRANSPORTS = ("stdio", "http")
# The tools of one page of tools/list.
PAGE = 250
# How to connect, and the protocol version that must come of it.
STATELESS = "2026-07-28"
MODES = {"auto": STATELESS, "legacy": "2025-11-25", STATELESS: STATELESS}
PROMPTS = ["merge_duplicates", "settle_contract", "plan_week", "explain_changes", "onboard_user", "review_token"]
# What has gone from the newest revision is still to be tried in the older ones.
warnings.simplefilter("ignore", MCPDeprecationWarning)
# It warns of each answer of a tool that is not listed, and most are not.
logging.getLogger("client").setLevel(logging.ERROR)
HINTS = {"read_only_hint", "destructive_hint", "idempotent_hint", "open_world_hint"}
checks = 0


def equal(what, got, wanted):
    global checks
    checks += 1
    if got != wanted:
        print(f"FAILED {what}\n  wanted {wanted!r}\n  got    {got!r}", flush=True)
        os._exit(1)  # Raised through the SDK's task groups, it would drown in traceback.


async def soon(what, awaitable):
    """What comes within ten seconds; nothing here takes longer but by a fault."""
    try:
        return await asyncio.wait_for(awaitable, 10)
    except TimeoutError:
        equal(what, "did not come", "came")


class Person:
    """Who sits before a client: is asked questions, and sees what the client is told."""

    def __init__(self, answer):
        self.answer, self.asked, self.told = answer, [], asyncio.Queue()

    async def decide(self, _context, question):
        self.asked.append(question)
        return ElicitResult(action=self.answer) if isinstance(self.answer, str) else await self.answer()

    async def hear(self, message):
        self.told.put_nowait(message)

    async def heard(self, method):
        """Waits until the client is told so, and returns the parameters. Other messages are left out."""
        while True:
            message = await soon(method, self.told.get())
            if getattr(message, "method", None) == method:
                return message.params


@asynccontextmanager
async def connect(transport, mode, token=None, query="", person=None, base=None):
    """A client of the server at BUREAU_URL, or of a new `bureau stdio`; without a token that one acts as the owner."""
    about = {"elicitation_callback": person.decide, "message_handler": person.hear} if person else {}
    headers = {"Authorization": f"Bearer {token or os.environ['BUREAU_TOKEN']}"}
    async with httpx2.AsyncClient(headers=headers, timeout=20) as http:
        targets = {
            "http": streamable_http_client((base or os.environ["BUREAU_URL"]) + "/mcp" + query, http_client=http),
            "stdio": StdioServerParameters(
                command=os.environ["BUREAU_BIN"],
                args=["stdio", "--database", os.environ["BUREAU_DATABASE"]],
                env={"BUREAU_TOKEN": token} if token else None,
            ),
        }
        async with Client(targets[transport], mode=mode, read_timeout_seconds=20, **about) as client:
            yield client


async def elsewhere(tool, **arguments):
    """A call of another client, over plain JSON-RPC."""
    headers = {"Authorization": f"Bearer {os.environ['BUREAU_TOKEN']}"}
    message = {"jsonrpc": "2.0", "id": 1, "method": tool, "params": arguments}
    async with httpx2.AsyncClient(headers=headers, timeout=20) as http:
        answer = (await http.post(os.environ["BUREAU_URL"] + "/rpc", json=message)).json()
    equal(f"{tool} {arguments} elsewhere: {answer}", "result" in answer, True)
    return answer["result"]


async def metric(name):
    async with httpx2.AsyncClient() as http:
        lines = (await http.get(os.environ["BUREAU_URL"] + "/metrics")).text.splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name + " ")))


async def list_tools(client):
    tools, cursor = [], None
    while True:
        page = await client.list_tools(cursor=cursor, cache_mode="bypass")
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            return tools


async def call(client, tool, **arguments):
    """The data of an answer, which must be the same in both of its forms."""
    result = await client.call_tool(tool, arguments)
    equal(f"{tool} {arguments} is no error: {result.content}", result.is_error, False)
    equal(f"{tool}: text", json.loads(result.content[0].text), result.structured_content)
    return result.structured_content


async def refused(client, code, tool, **arguments):
    """The text of a refusal, which must carry the code. Clients of the handshake era get no second form of it."""
    result = await client.call_tool(tool, arguments)
    equal(f"{tool} {arguments} is an error: {result.content}", result.is_error, True)
    error = json.loads(result.content[0].text)
    equal(f"{tool} {arguments}: code", error["code"], code)
    structured = error if client.protocol_version == STATELESS else None
    equal(f"{tool} {arguments}: structured content", result.structured_content, structured)
    return result.content[0].text


async def open_tasks(client):
    page = await call(client, "task_list", status="open", page_size=5)
    equal("task_list: page", (page["page"], page["page_size"]), (1, 5))
    equal("task_list: number of items", len(page["items"]), min(5, page["total"]))
    return page["total"]


async def story(client, whole=False):
    """Plays the story, and returns what must be the same whoever connects how: the tools and the caller.

    `whole` tells that the list must hold every tool with its output schema, which the SDK then holds answers against.
    """
    tools = await list_tools(client)
    equal("the list is the same when asked again", await list_tools(client), tools)
    names = [tool.name for tool in tools]
    equal("names occur once", len(names), len(set(names)))
    equal(f"length of the list: {len(names)}", 40 < len(names) if whole else 1 <= len(names) <= 40, True)
    equal("tool_search is listed", "tool_search" in names, True)
    for tool in tools:
        equal(f"{tool.name}: form of the name", bool(re.fullmatch("[a-z][a-z0-9_]{0,47}", tool.name)), True)
        equal(f"{tool.name}: input", tool.input_schema["type"], "object")
        equal(f"{tool.name}: output", (tool.output_schema or {}).get("type"), "object" if whole else None)
        hints = tool.annotations.model_dump(exclude_none=True)
        equal(f"{tool.name}: hints that are missing", HINTS - hints.keys(), set())

    me = await call(client, "me")
    equal("me: status", me["status"], "ok")
    found = await call(client, "tool_search", query="settle a contract")
    equal("tool_search: first hit", found["items"][0]["name"], "contract_settle")
    await refused(client, "not_found", "contract_settle", id=str(uuid.uuid4()))

    title = f"Call the stone supplier {uuid.uuid4()}"
    before = await open_tasks(client)
    preview = await call(client, "task_create", title=title, dry_run=True)
    equal("dry run: marked as such", preview["dry_run"], True)
    equal("dry run: names changes", len(preview["changes"]) > 0, True)
    equal("dry run: stores nothing", await open_tasks(client), before)

    key = str(uuid.uuid4())
    task = await call(client, "task_create", title=title, idempotency_key=key)
    equal("created: title and version", (task["title"], task["version"]), (title, 1))
    equal("created: one task more", await open_tasks(client), before + 1)
    again = await call(client, "task_create", title=title, idempotency_key=key)
    equal("the same key: the same task", (again["id"], again["num"]), (task["id"], task["num"]))
    equal("the same key: no task more", await open_tasks(client), before + 1)
    shown = await call(client, "task_show", id=task["num"])
    equal("shown by number", (shown["id"], shown["title"], shown["version"]), (task["id"], title, 1))
    equal("shown by id", await call(client, "task_show", id=task["id"]), shown)
    await call(client, "action_undo", undo_token=task["undo_token"])
    await refused(client, "not_found", "task_show", id=task["id"])
    equal("undone: as many tasks as before", await open_tasks(client), before)

    text = await refused(client, "validation", "task_create")
    equal(f"the refusal names the field: {text}", "title" in text, True)
    try:
        await client.call_tool("task_creat", {})
        code = None
    except MCPError as error:
        code = error.code
    equal("unknown tool: code", code, -32602)
    return names, me["data"][0]["email"]


async def protocol_error(what, awaitable, code, message):
    """A request is refused with exactly this."""
    try:
        answer = await awaitable
    except MCPError as error:
        answer = (error.code, error.message)
    equal(what, answer, (code, message))


async def offers(client):
    """Resources, prompts and completion."""
    modern = client.protocol_version == STATELESS
    listed = await client.list_resources()
    wanted = ["bureau://me", "bureau://permissions", "bureau://tools"]
    equal("resources", ([str(resource.uri) for resource in listed.resources], listed.next_cursor), (wanted, None))
    listed = await client.list_resource_templates()
    templates = [template.uri_template for template in listed.resource_templates]
    equal("templates occur once", len(templates), len(set(templates)))
    some = {"bureau://tools/{name}", "bureau://task/{id}", "bureau://contract/{id}", "bureau://person/{id}"}
    equal("templates that are missing", some - set(templates), set())

    title = f"Pomiar łazienki {uuid.uuid4()}"
    task = await call(client, "task_create", title=title)
    shown = await call(client, "task_show", id=task["num"])
    uri = f"bureau://task/{task['num']}"
    [content] = (await client.read_resource(uri)).contents
    equal("a record as a resource", (str(content.uri), content.mime_type), (uri, "application/json"))
    equal("a record as a resource and by its tool", json.loads(content.text), shown)
    [content] = (await client.read_resource("bureau://me")).contents
    equal("myself as a resource", json.loads(content.text), await call(client, "me"))
    text = (
        "There is no such resource, or none that you may see. resources/templates/list shows how addresses are made; "
        "the _list tools answer the ids."
    )
    missing = f"bureau://task/{uuid.uuid4()}"
    await protocol_error("a missing resource", client.read_resource(missing), -32602 if modern else -32002, text)

    listed = await client.list_prompts()
    equal("prompts", ([prompt.name for prompt in listed.prompts], listed.next_cursor), (PROMPTS, None))
    prompt = await client.get_prompt("plan_week", {"language": "pl", "day": "2026-11-23"})
    start = "Zaplanuj mój tydzień od poniedziałku do niedzieli, w którym jest dzień 2026-11-23.\n"
    [message] = prompt.messages
    equal("a prompt: title and who says it", (prompt.description, message.role), ("Zaplanuj tydzień", "user"))
    equal(f"a prompt in Polish: {message.content.text}", message.content.text.startswith(start), True)
    contract = (await call(client, "contract_list", page_size=1))["items"][0]
    prompt = await client.get_prompt("settle_contract", {"contract": str(contract["num"])})
    [_, record] = prompt.messages
    address = str(record.content.resource.uri)
    equal("a prompt brings its record", address, f"bureau://contract/{contract['num']}")
    equal("a prompt's record", json.loads(record.content.resource.text)["id"], contract["id"])
    text = "There is no prompt `plan_day`. prompts/list shows those there are."
    await protocol_error("a missing prompt", client.get_prompt("plan_day"), -32602, text)

    kinds = PromptReference(name="merge_duplicates")
    completed = (await client.complete(kinds, {"name": "kind", "value": "P"})).completion
    equal("completion of a prompt", (completed.values, completed.has_more, completed.total), (["person"], False, 1))
    tasks = ResourceTemplateReference(uri="bureau://task/{id}")
    completed = (await client.complete(tasks, {"name": "id", "value": title.replace("ł", "L")})).completion
    equal("completion of a template", (completed.values, completed.total), ([str(task["num"])], 1))
    await call(client, "action_undo", undo_token=task["undo_token"])


async def questions(client, person):
    """A destructive tool asks the person first, whichever way the era has for that."""
    task = await call(client, "task_create", title="Ask before it goes")
    person.answer, person.asked = "decline", []
    text = await refused(client, "forbidden", "task_delete", id=task["id"])
    wanted = (
        "The person at the client did not agree to this call, so nothing was changed. Do not repeat it unless they ask "
        "for it."
    )
    equal("declined: text", json.loads(text)["message"], wanted)
    equal("declined: it is there", (await call(client, "task_show", id=task["id"]))["version"], 1)
    person.answer = "accept"
    gone = await call(client, "task_delete", id=task["id"])
    equal("accepted: the answer", (gone["ok"], gone["id"]), (True, task["id"]))
    await refused(client, "not_found", "task_show", id=task["id"])
    asked = [(question.mode, question.message, question.requested_schema) for question in person.asked]
    schema = {"type": "object", "properties": {}, "required": []}
    form = ("form", "Delete a task: delete task Ask before it goes. Go on?", schema)
    equal("questions", asked, [form, form])
    await call(client, "action_undo", undo_token=gone["undo_token"])
    equal("undone: it is there again", (await call(client, "task_show", id=task["id"]))["id"], task["id"])

    # A call that is given up while the person thinks changes nothing.
    thinking = asyncio.Event()

    async def think():
        thinking.set()
        await asyncio.Event().wait()

    person.answer = think
    waiting = asyncio.create_task(client.call_tool("task_delete", {"id": task["id"]}))
    await soon("the question", thinking.wait())
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        equal("given up", await waiting, None)
    person.answer = "accept"
    equal("given up: it is there", (await call(client, "task_show", id=task["id"]))["version"], task["version"])
    await call(client, "task_delete", id=task["id"])


async def progress(client):
    """A long call tells how far it is."""
    steps = []

    async def told(done, total, message):
        steps.append((done, total, message))

    result = await client.call_tool("fulltext_reindex", {}, progress_callback=told)
    equal(f"fulltext_reindex: {result.content}", result.is_error, False)
    equal(f"several steps: {steps}", len(steps) > 5, True)
    counts = [done for done, _, _ in steps]
    # No step without a record: the protocol wants the numbers to grow.
    equal(f"steps grow: {steps}", all(one < next for one, next in zip(counts, counts[1:])), True)
    last = float(result.structured_content["checked"])
    equal("the last step", steps[-1], (last, last, "checking tasks"))


async def cancel(client):
    """A running call is given up; repeated with the same key, it is done once."""
    title = f"Given up {uuid.uuid4()}"
    arguments = {"title": title, "idempotency_key": title}
    database = sqlite3.connect(os.environ["BUREAU_DATABASE"].removeprefix("sqlite:"), isolation_level=None)
    # As long as this is the one who writes, no call can.
    database.execute("BEGIN IMMEDIATE")
    running = asyncio.create_task(client.call_tool("task_create", arguments))
    equal("reads go on beside it", (await call(client, "me"))["status"], "ok")
    equal("it runs", running.done(), False)
    running.cancel()
    with suppress(asyncio.CancelledError):
        equal("it was given up", await running, None)
    equal("the connection goes on", (await call(client, "task_list", q=title))["total"], 0)
    database.execute("ROLLBACK")
    database.close()
    task = await call(client, "task_create", **arguments)
    equal("repeated, it is there once", (await call(client, "task_list", q=title))["total"], 1)
    equal("it is the one", (await call(client, "task_show", id=task["id"]))["title"], title)


async def news(client, person):
    """What another client changes is told, and nothing else."""
    watched = await elsewhere("task_create", title="Watched")
    other = await elsewhere("task_create", title="Not watched")
    uri = f"bureau://task/{watched['num']}"
    if client.protocol_version == STATELESS:
        streams = await metric("bureau_streams_open")
        async with client.listen(resource_subscriptions=[uri, f"bureau://task/{uuid.uuid4()}"]) as events:
            equal("what is listened to", events.honored.resource_subscriptions, [uri])
            await elsewhere("task_update", id=other["id"], title="Not told")
            await elsewhere("task_update", id=watched["id"], title="Told")
            equal("an update", str((await soon("an update", anext(events))).uri), uri)
        await until("the stream has ended", lambda: metric("bureau_streams_open"), streams)
    else:
        await client.subscribe_resource(uri)
        await elsewhere("task_update", id=other["id"], title="Not told")
        await elsewhere("task_update", id=watched["id"], title="Told")
        equal("an update", str((await person.heard("notifications/resources/updated")).uri), uri)
        await client.unsubscribe_resource(uri)
    [content] = (await client.read_resource(uri, cache_mode="bypass")).contents
    equal("read again", json.loads(content.text)["title"], "Told")
    for task in (watched, other):
        await elsewhere("task_delete", id=task["id"])


async def until(what, look, wanted):
    """Looks again and again, for ten seconds at most."""
    for _ in range(100):
        if await look() == wanted:
            return
        await asyncio.sleep(0.1)
    equal(what, await look(), wanted)


async def rights(transport, mode, key):
    """A user who may do less than before is told that the lists are others now."""
    person = Person("decline")
    async with connect(transport, mode, key["secret"], person=person) as client:
        before = [tool.name for tool in await list_tools(client)]
        equal("a user may create tasks", "task_create" in before, True)
        if client.protocol_version == STATELESS:
            async with client.listen(tools_list_changed=True, prompts_list_changed=True) as events:
                honored = (events.honored.tools_list_changed, events.honored.prompts_list_changed)
                equal("what is listened to", honored, (True, True))
                await elsewhere("user_update", id=key["user_id"], role="reader")
                told = {type(await soon("news of a list", anext(events))).__name__ for _ in range(2)}
                equal("what is told", told, {"ToolsListChanged", "PromptsListChanged"})
        else:
            # Sent on the stream that the client opens after it has said hello.
            await until("the stream of news", lambda: metric("bureau_streams_open"), 1 if transport == "http" else 0)
            await elsewhere("user_update", id=key["user_id"], role="reader")
            await person.heard("notifications/tools/list_changed")
        after = [tool.name for tool in await list_tools(client)]
        equal("a reader may not", "task_create" in after, False)
        await refused(client, "forbidden", "task_create", title="Not to be stored")
    await elsewhere("user_update", id=key["user_id"], role="user")


async def log_level(client, person):
    """The level of log messages: by a method in the handshake era; the other era has it in each request."""
    if client.protocol_version == STATELESS:
        return
    await client.set_logging_level("warning")
    await client.send_ping()


class Cable:
    """The way to the server, which can be cut."""

    async def __aenter__(self):
        self.open, self.cuts, self.taken = set(), 0, asyncio.Event()
        self.server = await asyncio.start_server(self.carry, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        self.cut()

    async def carry(self, reader, writer):
        host, port = os.environ["BUREAU_URL"].removeprefix("http://").split(":")
        back, forth = await asyncio.open_connection(host, int(port))
        self.open |= {writer, forth}
        self.taken.set()

        async def copy(source, target):
            with suppress(OSError):
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
            target.close()

        await asyncio.gather(copy(reader, forth), copy(back, writer))
        self.open -= {writer, forth}

    def cut(self):
        self.taken.clear()
        self.cuts += len(self.open)
        for writer in self.open:
            writer.transport.abort()


async def resume(mode):
    """The connection breaks while a call waits for its person; the client comes back for the answer by itself."""
    async with Cable() as cable:

        async def cut():
            cable.cut()
            await soon("the client again", cable.taken.wait())
            return ElicitResult(action="accept")

        person = Person(cut)
        async with connect("http", mode, person=person, base=cable.url) as client:
            task = await call(client, "task_create", title="Broken off")
            gone = await soon("the rest of the answer", call(client, "task_delete", id=task["id"]))
            equal("the answer after the break", (gone["ok"], gone["id"], len(person.asked)), (True, task["id"], 1))
            equal("connections were cut", cable.cuts > 0, True)


async def read_only(client, email):
    """What a session may do that was narrowed to reading."""
    equal("read-only: same user", (await call(client, "me"))["data"][0]["email"], email)
    await refused(client, "forbidden", "task_create", title="Not to be stored")
    writing = [tool.name for tool in await list_tools(client) if not tool.annotations.read_only_hint]
    equal("read-only: listed tools that write", writing, [])


async def main():
    global checks
    first = None
    member = await elsewhere("user_create", email="reader@example.org", first_name="Ewa", last_name="Sowa", role="user")
    key = await elsewhere("api_key_create", name="reader", user_id=member["id"])
    key["user_id"] = member["id"]
    for transport in TRANSPORTS:
        for mode, protocol in MODES.items():
            checks = 0
            person = Person("accept")
            sessions = await metric("bureau_sessions_open")
            async with connect(transport, mode, person=person) as client:
                equal("protocol version", client.protocol_version, protocol)
                if mode != STATELESS:  # A pinned version is used without asking the server who it is.
                    equal("server name", client.server_info.name, "bureau")
                    capabilities = client.server_capabilities
                    told = (capabilities.tools.list_changed, capabilities.resources.subscribe)
                    equal("changes are told", told, (True, True))
                counted = 1 if (transport, mode) == ("http", "legacy") else 0
                equal("sessions", await metric("bureau_sessions_open"), sessions + counted)
                seen = await story(client)
                await offers(client)
                await questions(client, person)
                await progress(client)
                await cancel(client)
                await log_level(client, person)
                await news(client, person)
                session = await call(client, "session_create", read_only=True, ttl_minutes=10)
            equal("sessions end with their clients", await metric("bureau_sessions_open"), sessions)
            async with connect(transport, mode, session["session_token"]) as client:
                await read_only(client, seen[1])
            await rights(transport, mode, key)
            if counted:
                await resume(mode)
            first = first or seen
            equal("same tools and same user as in the first run", seen, first)
            told = f"{checks} checks, {len(seen[0])} tools"
            print(f"ok: Python mcp {version('mcp')}, {transport}, {mode}: {told}", flush=True)
    for mode in MODES:
        checks = 0
        async with connect("http", mode, query="?toolsets=all&output_schemas=1") as client:
            page = await client.list_tools()
            equal("everything comes in pages", (len(page.tools), page.next_cursor is not None), (PAGE, True))
            seen = await story(client, whole=True)
        equal("everything holds the default list", set(first[0]) - set(seen[0]), set())
        print(f"ok: Python mcp {version('mcp')}, http, {mode}, everything: {checks} checks, {len(seen[0])} tools")


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(__doc__)
    asyncio.run(main())
