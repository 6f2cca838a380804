# The page's files become assets.c in the build tree, again whenever one of them changes.
file(GLOB WEB_FILES CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.html ${CMAKE_CURRENT_LIST_DIR}/*.js
     ${CMAKE_CURRENT_LIST_DIR}/*.css ${CMAKE_CURRENT_LIST_DIR}/*.svg)
set(WEB_ASSETS ${CMAKE_CURRENT_BINARY_DIR}/web_assets.c)
add_custom_command(
  OUTPUT ${WEB_ASSETS}
  COMMAND ${CMAKE_COMMAND} -DOUT=${WEB_ASSETS} "-DFILES=${WEB_FILES}" -P ${CMAKE_CURRENT_LIST_DIR}/embed.cmake
  DEPENDS ${WEB_FILES} ${CMAKE_CURRENT_LIST_DIR}/embed.cmake
  COMMENT "Embedding gateway/web"
  VERBATIM)
add_library(sluice_web STATIC ${CMAKE_CURRENT_LIST_DIR}/web.c ${WEB_ASSETS})
target_link_libraries(sluice_web PRIVATE sluice_options sluice_common)
