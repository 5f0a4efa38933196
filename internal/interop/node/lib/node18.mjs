// Debian's Node is version 18, where File is not global yet.
import { File } from 'node:buffer'

globalThis.File ??= File
