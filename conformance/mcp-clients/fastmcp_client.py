"""Asks a server of MCP by fastmcp's client: fastmcp_client.py URL, or the words of a program that speaks on stdio.

Prints a line for each check: its name, and behind a tab what went wrong.
"""

import asyncio
import sys

from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError

words = sys.argv[1:]
server = words[0] if len(words) == 1 else StdioTransport(command=words[0], args=words[1:])


async def tools(client):
    names = [tool.name for tool in await client.list_tools()]
    assert len(names) == 15 and "get_book" in names, names


async def call(client):
    result = await client.call_tool("get_book", {"name": "shelves/1/books/1"})
    assert result.structured_content["book"]["title"] == "Dune", result


async def error(client):
    try:
        await client.call_tool("get_book", {"name": "shelves/1/books/none"})
    except ToolError as problem:
        assert str(problem).startswith("NOT_FOUND: "), problem
    else:
        raise AssertionError("it is no error")


async def wrong_argument(client):
    try:
        await client.call_tool("get_book", {"nam": "shelves/1/books/1"})
    except ToolError as problem:
        assert "nam" in str(problem), problem
    else:
        raise AssertionError("it is no error")


async def stream(client):
    result = await client.call_tool("chat", {"messages": [{"text": "dune"}]})
    assert "We have: Dune" in str(result.structured_content["messages"]), result


async def resources(client):
    found = await client.list_resources()
    shelves = next(one for one in found if str(one.uri).endswith("/shelves"))
    contents = await client.read_resource(shelves.uri)
    assert "Science fiction" in contents[0].text, contents
    book = await client.read_resource(f"{shelves.uri}/1/books/1")
    assert "Dune" in book[0].text, book
    templates = [str(one.uri_template) for one in await client.list_resource_templates()]
    assert any(one.endswith("/shelves/{shelf}/books/{book}") for one in templates), templates


async def main():
    async with Client(server) as client:
        for check in (tools, call, error, wrong_argument, stream, resources):
            try:
                await check(client)
                print(check.__name__)
            except Exception as problem:
                print(check.__name__, repr(problem).replace("\n", " "), sep="\t")


asyncio.run(main())
