"""The names of the API calls in routes, the request log and fault rules."""

from __future__ import annotations

from enum import StrEnum


class Operation(StrEnum):
    """The API calls that the sandbox serves. Each is the name of its route."""

    LIST_CONNECTIONS = "list_connections"
    CREATE_CONNECTION = "create_connection"
    UPDATE_CONNECTION = "update_connection"
    DISCONNECT_CONNECTION = "disconnect_connection"
    DELETE_CONNECTION = "delete_connection"
    GET_PICKLIST = "get_picklist"
    CREATE_RUNTIME_USER_CONNECTION = "create_runtime_user_connection"
    GET_OAUTH_URL = "get_oauth_url"
    GET_WORKSPACE = "get_workspace"
    LIST_FOLDERS = "list_folders"
    GET_FOLDER = "get_folder"
    CREATE_FOLDER = "create_folder"
    UPDATE_FOLDER = "update_folder"
    DELETE_FOLDER = "delete_folder"
    LIST_PROJECTS = "list_projects"
    UPDATE_PROJECT = "update_project"
    DELETE_PROJECT = "delete_project"
    LIST_FOLDER_ASSETS = "list_folder_assets"
    LIST_CONNECTORS = "list_connectors"
    LIST_CUSTOM_CONNECTORS = "list_custom_connectors"
    LIST_RECIPES = "list_recipes"
    UNKNOWN = "unknown"
