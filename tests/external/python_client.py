#!/usr/bin/env python3
"""The official Python SDK (PyPI `mcp`) as a client of bureau, over stdio and HTTP, in each way it can connect.

    tests/external/install.sh
    tests/external/with_server.sh /tmp/bureau-external/python/bin/python tests/external/python_client.py

Every run plays the same story and must see the same list of tools. The first answer that is not exactly as expected
ends the program.
"""

import asyncio
import json
import os
import re
import sys
import uuid
from contextlib import asynccontextmanager
from importlib.metadata import version

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

TRANSPORTS = ("stdio", "http")
# How to connect, and the protocol version that must come of it.
MODES = {"auto": "2026-07-28", "legacy": "2025-11-25", "2026-07-28": "2026-07-28"}
HINTS = {"read_only_hint", "destructive_hint", "idempotent_hint", "open_world_hint"}
checks = 0


def equal(what, got, wanted):
    global checks
    checks += 1
    if got != wanted:
        print(f"FAILED {what}\n  wanted {wanted!r}\n  got    {got!r}", flush=True)
        os._exit(1)  # Raised through the SDK's task groups, it would drown in traceback.


@asynccontextmanager
async def connect(transport, mode, token=None, query=""):
    """A client of the server at BUREAU_URL, or of a new `bureau stdio`; without a token that one acts as the owner."""
    headers = {"Authorization": f"Bearer {token or os.environ['BUREAU_TOKEN']}"}
    async with httpx2.AsyncClient(headers=headers, timeout=20) as http:
        targets = {
            "http": streamable_http_client(os.environ["BUREAU_URL"] + "/mcp" + query, http_client=http),
            "stdio": StdioServerParameters(
                command=os.environ["BUREAU_BIN"],
                args=["stdio", "--database", os.environ["BUREAU_DATABASE"]],
                env={"BUREAU_TOKEN": token} if token else None,
            ),
        }
        async with Client(targets[transport], mode=mode, read_timeout_seconds=20) as client:
            yield client


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
    structured = error if client.protocol_version == "2026-07-28" else None
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


async def read_only(client, email):
    """What a session may do that was narrowed to reading."""
    equal("read-only: same user", (await call(client, "me"))["data"][0]["email"], email)
    await refused(client, "forbidden", "task_create", title="Not to be stored")
    writing = [tool.name for tool in await list_tools(client) if not tool.annotations.read_only_hint]
    equal("read-only: listed tools that write", writing, [])


async def main():
    global checks
    first = None
    for transport in TRANSPORTS:
        for mode, protocol in MODES.items():
            checks = 0
            async with connect(transport, mode) as client:
                equal("protocol version", client.protocol_version, protocol)
                if mode != "2026-07-28":  # A pinned version is used without asking the server who it is.
                    equal("server name", client.server_info.name, "bureau")
                    equal("list changes are told", client.server_capabilities.tools.list_changed, False)
                seen = await story(client)
                session = await call(client, "session_create", read_only=True, ttl_minutes=10)
            async with connect(transport, mode, session["session_token"]) as client:
                await read_only(client, seen[1])
            first = first or seen
            equal("same tools and same user as in the first run", seen, first)
            print(f"ok: Python mcp {version('mcp')}, {transport}, {mode}: {checks} checks, {len(seen[0])} tools")
    for mode in MODES:
        checks = 0
        async with connect("http", mode, query="?toolsets=all&output_schemas=1") as client:
            page = await client.list_tools()
            equal("everything is on one page", page.next_cursor, None)
            seen = await story(client, whole=True)
        equal("everything holds the default list", set(first[0]) - set(seen[0]), set())
        print(f"ok: Python mcp {version('mcp')}, http, {mode}, everything: {checks} checks, {len(seen[0])} tools")


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(__doc__)
    asyncio.run(main())
