/**
 * What the test that starts a script tells it, as JSON: the addresses of a server
 * under the names that it prints, and the features that it has besides the procedures
 * with JSON bodies ("events", "files", "inputs", "socket inputs").
 */
export const { features, ...addresses } = JSON.parse(process.argv[2])
