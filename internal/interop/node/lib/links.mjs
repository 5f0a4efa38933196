import { once } from 'node:events'
import { createORPCClient } from '@orpc/client'
import { RPCLink as FetchLink } from '@orpc/client/fetch'
import { ClientRetryPlugin } from '@orpc/client/plugins'
import { RPCLink as WebsocketLink } from '@orpc/client/websocket'
import { getContractRouter, inferRPCMethodFromContractRouter, isContractProcedure } from '@orpc/contract'
import WebSocket from 'ws'
import { contract } from './contract.mjs'

const methodOf = inferRPCMethodFromContractRouter(contract)

/** A client over HTTP. watch is given each request and its response. */
export function httpClient(url, watch = () => {}, { plugins = [], headers } = {}) {
  return createORPCClient(new FetchLink({
    url,
    headers,
    method: (options, path) => isContractProcedure(getContractRouter(contract, path)) ? methodOf(options, path) : 'POST',
    fetch: async (request, init) => {
      const response = await fetch(request, init)
      watch(request, response)
      return response
    },
    plugins: [new ClientRetryPlugin(), ...plugins],
  }))
}

/** A client over one WebSocket connection, and that connection, which is open. */
export async function websocketClient(url) {
  const socket = new WebSocket(url)
  await once(socket, 'open')
  const client = createORPCClient(new WebsocketLink({ websocket: socket, plugins: [new ClientRetryPlugin()] }))
  return { client, socket }
}
