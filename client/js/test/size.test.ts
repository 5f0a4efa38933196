import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { test } from 'node:test'
import { build } from 'esbuild'

const resolveDir = fileURLToPath(new URL('../..', import.meta.url))

async function size(contents: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir, loader: 'ts' },
    bundle: true, minify: true, write: false, format: 'esm', target: 'es2022',
  })
  return gzipSync(outputFiles[0]!.contents, { level: 9 }).length
}

test('dial alone is at most 8 KiB', async () => {
  const bytes = await size(`import { dial } from './src/index.ts'; globalThis.dial = dial`)
  assert.ok(bytes <= 8 << 10, `${bytes} bytes`)
})

test('with @orpc/client and its fetch link it is at most 16 KiB in all', async () => {
  const bytes = await size(`
    import { createORPCClient } from '@orpc/client'
    import { RPCLink } from '@orpc/client/fetch'
    import { DurableIteratorLinkPlugin } from './src/orpc.ts'
    globalThis.client = createORPCClient(new RPCLink({ url: '/rpc', plugins: [new DurableIteratorLinkPlugin({ url: '/room' })] }))`)
  assert.ok(bytes <= 16 << 10, `${bytes} bytes`)
})
