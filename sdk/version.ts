/** The version of this contract (semver). A plugin's manifest names the range it was written for: `"api": "^1.0"`. */
export const API_VERSION = '1.0.0'
