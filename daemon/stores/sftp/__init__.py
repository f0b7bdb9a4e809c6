"""A store in a folder of an SSH host, by SFTP; its library is the extra `sftp`.

session   one connection, made when it is needed      trouble   what asyncssh raises, as our errors
store     the engine                                      upload    one file, whose connection may break
"""
