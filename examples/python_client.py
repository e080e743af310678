#!/usr/bin/env python3
"""A walk through bureau with the MCP SDK for Python: find a tool, try it, use it, read what came of it, take it back.

    pip install mcp==2.3.0
    BUREAU_TOKEN=… examples/python_client.py

BUREAU_URL is the server; http://127.0.0.1:8650 unless it is set.
"""

import asyncio
import os
import sys
import uuid

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def call(client, tool, **arguments):
    """The data of an answer. A refusal is raised, with the text that tells what to do."""
    result = await client.call_tool(tool, arguments)
    if result.is_error:
        raise RuntimeError(f"{tool}: {result.content[0].text}")
    return result.structured_content


async def main():
    url = os.environ.get("BUREAU_URL", "http://127.0.0.1:8650") + "/mcp"
    token = os.environ.get("BUREAU_TOKEN") or sys.exit("BUREAU_TOKEN is not set; bureau serve prints a token")
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=30)

    async with http, Client(streamable_http_client(url, http_client=http)) as client:
        me = await call(client, "me")
        print(f"Connected with MCP {client.protocol_version} as {me['data'][0]['email']}")

        # A model does not read hundreds of tools either: it searches.
        found = await call(client, "tool_search", query="create a task")
        print("Found", ", ".join(tool["name"] for tool in found["items"]))

        # Any write can be tried first. Nothing is stored.
        preview = await call(client, "task_create", title="Call the stone supplier", dry_run=True)
        print(f"Tried: creating the task would change {len(preview['changes'])} rows")

        # With an idempotency key a call can be repeated, after a lost answer for example, and takes effect once.
        key = str(uuid.uuid4())
        task = await call(client, "task_create", title="Call the stone supplier", idempotency_key=key)
        again = await call(client, "task_create", title="Call the stone supplier", idempotency_key=key)
        print(f"Created task {task['num']}, and task {again['num']} again with the same key")

        shown = await call(client, "task_show", id=task["num"])
        print(f"Task {shown['num']}, version {shown['version']}: {shown['title']}")

        # Records are resources too, and prompts hold common workflows.
        [record] = (await client.read_resource(f"bureau://task/{task['num']}")).contents
        prompt = await client.get_prompt("plan_week", {"language": "pl"})
        print(f"Read {record.uri}, and the prompt “{prompt.description}”")

        # Any write can be taken back.
        await call(client, "action_undo", undo_token=task["undo_token"])
        gone = await client.call_tool("task_show", {"id": task["id"]})
        print(f"Undone: task {task['num']} is {gone.structured_content['code']}")


if __name__ == "__main__":
    asyncio.run(main())
